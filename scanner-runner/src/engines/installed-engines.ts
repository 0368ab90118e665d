import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, constants, mkdtemp, readFile, rm } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import type { Log } from '../log.ts'
import { type EngineDriver, RUNNER_ENGINES, type RunnerEngine } from './engine.ts'
import { engineEnvironment } from './engine-environment.ts'
import { runProcess } from './process.ts'

const LOCK_FILE = 'engines.lock.json'
const VERSION_TIMEOUT_MS = 15_000
const MAX_VERSION_BYTES = 65_536

const Lock = z.object({
  engines: z.array(
    z.object({
      name: z.string(),
      version: z.string(),
      path: z.string(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      source: z.string().nullish(),
    }),
  ),
})

export interface InstalledEngine {
  name: RunnerEngine
  path: string
  version: string
  /** Of the executable as it is on the disk. */
  sha256: string
}

interface Candidate {
  name: RunnerEngine
  path: string
  pinned: string | null
}

interface Search {
  enginesDir: string
  scratchDir: string
  wanted: readonly RunnerEngine[]
  drivers: Record<RunnerEngine, EngineDriver>
  log: Log
  signal: AbortSignal
}

/**
 * The engines that this runner offers: those of the lock file in `enginesDir`, else executables of that name there.
 * One that is missing, differs from its pinned sha256 or does not say its version is left out and logged.
 */
export async function findEngines(search: Search): Promise<InstalledEngine[]> {
  const inspected = (await candidates(search)).map((candidate) =>
    inspect(candidate, search).catch((error: Error) => {
      search.log.warn('engine_left_out', { engine: candidate.name, message: error.message })
      return null
    }),
  )
  return (await Promise.all(inspected)).filter((engine) => engine !== null)
}

async function candidates({ enginesDir, wanted }: Search): Promise<Candidate[]> {
  const names = RUNNER_ENGINES.filter((name) => wanted.includes(name))
  const text = await readFile(join(enginesDir, LOCK_FILE), 'utf8').catch(() => null)
  if (text === null) return names.map((name) => ({ name, path: join(enginesDir, name), pinned: null }))
  const { engines } = Lock.parse(JSON.parse(text))
  return names.flatMap((name) => {
    const entry = engines.find((engine) => engine.name === name)
    if (!entry) return []
    const path = isAbsolute(entry.path) ? entry.path : join(enginesDir, entry.path)
    return [{ name, path, pinned: entry.sha256 }]
  })
}

async function inspect({ name, path, pinned }: Candidate, search: Search): Promise<InstalledEngine> {
  await access(path, constants.X_OK).catch(() => {
    throw new Error(`${path} is not there or cannot be executed`)
  })
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  const sha256 = hash.digest('hex')
  if (pinned !== null && pinned !== sha256)
    throw new Error(`${path} does not have the sha256 of ${LOCK_FILE}`)
  const version = await askVersion(path, search.drivers[name], search)
  if (version === null) throw new Error(`${path} does not say its version`)
  return { name, path, version, sha256 }
}

async function askVersion(
  path: string,
  driver: EngineDriver,
  { scratchDir, signal }: Search,
): Promise<string | null> {
  const directory = await mkdtemp(join(scratchDir, 'version-'))
  try {
    const stdoutFile = join(directory, 'stdout')
    const { env, cwd } = await engineEnvironment(directory)
    const end = await runProcess({
      command: path,
      args: driver.versionArgs,
      cwd,
      env,
      stdoutFile,
      outputs: [stdoutFile],
      maxOutputBytes: MAX_VERSION_BYTES,
      timeoutMs: VERSION_TIMEOUT_MS,
      signal,
    })
    if (end.kind !== 'exited' || end.code !== 0) return null
    return driver.readVersion(await readFile(stdoutFile, 'utf8'))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
