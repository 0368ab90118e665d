import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Advisory } from '../advisories/advisory.ts'
import { readAdvisories } from '../advisories/read-advisories.ts'
import { SNAPSHOT_BUILT_AT } from '../advisories/snapshot.ts'
import { writeGrypeDatabase } from './grype-db.ts'
import { trivyDatabase, trivyMetadata } from './trivy-db.ts'
import { trivyJavaMetadata, writeTrivyJavaIndex } from './trivy-java-db.ts'

const IMPORT_TIMEOUT_MS = 60_000 // an import of this size takes a tenth of a second; slow disks get room

interface SampleDatabase {
  /** What the engine takes as its cache directory: `TRIVY_CACHE_DIR` or `GRYPE_DB_CACHE_DIR`. */
  dir: string
  advisories: number
  /** ISO 8601 */
  builtAt: string
}

interface SampleDatabases {
  trivy: SampleDatabase
  /** Null without a grype to import it with. */
  grype: SampleDatabase | null
}

/**
 * Writes `dir/trivy` and, where `grypePath` names a grype, `dir/grype`, each with a `sample.json` that says
 * `{source: "sample", advisories, builtAt}`; `dir/sample.json` holds both under the engines' names. Replaces what is
 * at `dir` as a whole, so that a reader never sees half of it. Rejects with grype's own words when its import fails.
 */
export async function writeSampleDatabases(
  dir: string,
  options: { builtAt?: string; grypePath?: string | null; advisories?: readonly Advisory[] } = {},
): Promise<SampleDatabases> {
  const { builtAt = SNAPSHOT_BUILT_AT, grypePath = null, advisories = readAdvisories() } = options
  mkdirSync(dirname(dir), { recursive: true })
  const work = mkdtempSync(join(dirname(dir), `.${basename(dir)}-`))
  try {
    const said = { source: 'sample', advisories: advisories.length, builtAt }
    writeTrivyFiles(join(work, 'trivy'), advisories, builtAt)
    if (grypePath) await importIntoGrype(join(work, 'grype'), grypePath, advisories, builtAt)
    const engines = grypePath ? ['trivy', 'grype'] : ['trivy']
    for (const engine of engines)
      writeFileSync(join(work, engine, 'sample.json'), `${JSON.stringify(said)}\n`)
    const all = Object.fromEntries(engines.map((engine) => [engine, said]))
    writeFileSync(join(work, 'sample.json'), `${JSON.stringify(all)}\n`)
    rmSync(dir, { recursive: true, force: true })
    renameSync(work, dir)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  const database = (engine: string) => ({ dir: join(dir, engine), advisories: advisories.length, builtAt })
  return { trivy: database('trivy'), grype: grypePath ? database('grype') : null }
}

function writeTrivyFiles(dir: string, advisories: readonly Advisory[], builtAt: string): void {
  mkdirSync(join(dir, 'db'), { recursive: true })
  mkdirSync(join(dir, 'java-db'))
  writeFileSync(join(dir, 'db', 'trivy.db'), trivyDatabase(advisories))
  writeFileSync(join(dir, 'db', 'metadata.json'), trivyMetadata(builtAt))
  writeTrivyJavaIndex(join(dir, 'java-db', 'trivy-java.db'))
  writeFileSync(join(dir, 'java-db', 'metadata.json'), trivyJavaMetadata(builtAt))
}

/** Lets grype itself add its indexes and its `import.json`, without which it opens no database. */
async function importIntoGrype(
  dir: string,
  grypePath: string,
  advisories: readonly Advisory[],
  builtAt: string,
): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'sample-grype-'))
  try {
    const file = join(work, 'vulnerability.db')
    writeGrypeDatabase(file, advisories, builtAt)
    const env = {
      HOME: work,
      TMPDIR: work,
      GRYPE_DB_CACHE_DIR: dir,
      GRYPE_CHECK_FOR_APP_UPDATE: 'false',
      NO_COLOR: '1',
    }
    mkdirSync(dir, { recursive: true })
    await promisify(execFile)(grypePath, ['db', 'import', file], {
      cwd: work,
      env,
      timeout: IMPORT_TIMEOUT_MS,
    })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
