import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { lastWords } from '../engines/engine.ts'
import { engineEnvironment } from '../engines/engine-environment.ts'
import type { InstalledEngine } from '../engines/installed-engines.ts'
import { runProcess } from '../engines/process.ts'
import { TRIVY_QUIET } from '../engines/trivy.ts'
import type { Log } from '../log.ts'
import type { DatabaseSource } from './database-source.ts'

const UPDATE_TIMEOUT_MS = 10 * 60_000

// The only variables of the runner that an update may see: how to reach the internet, and mirrors of the databases.
const PASSED_ON = [
  ...[
    'HTTPS_PROXY',
    'HTTP_PROXY',
    'NO_PROXY',
    'https_proxy',
    'http_proxy',
    'no_proxy',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
  ],
  ...[
    'TRIVY_DB_REPOSITORY',
    'TRIVY_JAVA_DB_REPOSITORY',
    'TRIVY_INSECURE',
    'GRYPE_DB_UPDATE_URL',
    'GRYPE_DB_CA_CERT',
  ],
] as const

export interface DatabaseUpdate {
  engines: readonly InstalledEngine[]
  source: DatabaseSource
  scratchDir: string
  environment: Record<string, string | undefined>
  log: Log
  signal: AbortSignal
}

interface Step {
  database: string
  engine: InstalledEngine
  args: string[]
  env: Record<string, string>
}

/**
 * Lets trivy and grype bring their official databases up to date, one after another. Never touches samples.
 * Resolves with the databases that could not be updated; what is there already stays usable until it is too old.
 */
export async function updateDatabases(update: DatabaseUpdate): Promise<string[]> {
  if (update.source.samples) return []
  const { trivyCacheDir, grypeCacheDir } = update.source
  for (const directory of [trivyCacheDir, grypeCacheDir])
    await mkdir(directory, { recursive: true }).catch(() => {}) // a read-only one: the engine says so itself
  const failed: string[] = []
  for (const step of steps(update)) {
    if (update.signal.aborted) break
    if (!(await runStep(step, update))) failed.push(step.database)
  }
  return failed
}

function steps({ engines, source }: DatabaseUpdate): Step[] {
  const trivy = engines.find(({ name }) => name === 'trivy')
  const grype = engines.find(({ name }) => name === 'grype')
  const trivyArgs = ['image', '--cache-dir', source.trivyCacheDir, '--no-progress', '--config', '']
  const trivyEnv = { ...TRIVY_QUIET }
  return [
    ...(trivy
      ? [
          { database: 'trivy', engine: trivy, args: [...trivyArgs, '--download-db-only'], env: trivyEnv },
          {
            database: 'trivy-java',
            engine: trivy,
            args: [...trivyArgs, '--download-java-db-only'],
            env: trivyEnv,
          },
        ]
      : []),
    ...(grype
      ? [
          {
            database: 'grype',
            engine: grype,
            args: ['db', 'update'],
            env: { GRYPE_DB_CACHE_DIR: source.grypeCacheDir, GRYPE_CHECK_FOR_APP_UPDATE: 'false' },
          },
        ]
      : []),
  ]
}

async function runStep(
  step: Step,
  { scratchDir, environment, log, signal }: DatabaseUpdate,
): Promise<boolean> {
  const directory = await mkdtemp(join(scratchDir, 'update-'))
  try {
    const passedOn: Record<string, string> = {}
    for (const name of PASSED_ON) if (environment[name]) passedOn[name] = environment[name]
    const { env, cwd } = await engineEnvironment(directory)
    const end = await runProcess({
      command: step.engine.path,
      args: step.args,
      cwd,
      env: { ...env, ...passedOn, ...step.env },
      stdoutFile: null,
      outputs: [],
      maxOutputBytes: Number.MAX_SAFE_INTEGER,
      timeoutMs: UPDATE_TIMEOUT_MS,
      signal,
    })
    const ok = end.kind === 'exited' && end.code === 0
    const fields = { database: step.database, durationMs: end.durationMs }
    if (ok) log.debug('database_updated', fields)
    else log.debug('database_update_failed', { ...fields, end: end.kind, message: lastWords(end.stderr) })
    return ok
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
