import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeSampleDatabases } from '../sample/databases/write-sample-databases.ts'
import { fingerprint } from './fingerprint.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

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

/** The directory of the sample databases, written when it is not there yet or its data or its writers changed. */
export async function ensureSampleDatabases(dir: string, grypePath: string | null): Promise<string> {
  const sources = fingerprint(root, ['dev/sample/advisories', 'dev/sample/databases'])
  const current = `${sources} ${grypePath ?? 'without grype'}`
  const file = join(dir, 'fingerprint')
  if (existsSync(file) && readFileSync(file, 'utf8') === current) return dir
  await writeSampleDatabases(dir, { grypePath })
  writeFileSync(file, current)
  return dir
}
