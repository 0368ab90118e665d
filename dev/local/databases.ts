import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeSampleDatabases } from '../sample/databases/write-sample-databases.ts'

const PROBE_TIMEOUT_MS = 4000 // a closed network refuses at once; a silent one costs this, once a start
const SOURCES = ['https://ghcr.io/v2/', 'https://grype.anchore.io/databases/v6/latest.json']

/** Whether the engines' own databases can be downloaded from here: every source answers something below 500. */
export async function databasesAreReachable(): Promise<boolean> {
  const answers = await Promise.all(
    SOURCES.map((url) =>
      fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) }).then(
        (answer) => answer.status < 500,
        () => false,
      ),
    ),
  )
  return answers.every(Boolean)
}

/** The directory of the sample databases, written when it is not there yet. */
export async function ensureSampleDatabases(dir: string, grypePath: string | null): Promise<string> {
  const complete =
    existsSync(join(dir, 'sample.json')) && (!grypePath || existsSync(join(dir, 'grype', 'sample.json')))
  if (!complete) await writeSampleDatabases(dir, { grypePath })
  return dir
}
