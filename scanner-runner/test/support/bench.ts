import { onTestFinished } from 'vitest'
import type { Job } from '../../../src/scanning/sensors/protocol.ts'
import { readSamples } from '../../src/databases/database-source.ts'
import { RUNNER_ENGINES, type RunnerEngine } from '../../src/engines/engine.ts'
import { engineTable } from '../../src/engines/engine-table.ts'
import { findEngines } from '../../src/engines/installed-engines.ts'
import { trackProgress } from '../../src/job/progress.ts'
import { askedEngines, type JobResult, runJob } from '../../src/job/run-job.ts'
import { clearRunningDirectory, runningDirectory } from '../../src/job/running-directory.ts'
import { loadOrCreateKey } from '../../src/key-pair.ts'
import { createLog } from '../../src/log.ts'
import { createRedactor } from '../../src/redact.ts'
import { aJob } from './dashboard.ts'
import { anImage } from './image.ts'
import { aRegistry } from './registry.ts'
import { anEnvironment, configOf, type FakeEngines, fakeEngines } from './workshop.ts'

export interface Bench {
  engines: FakeEngines
  environment: Record<string, string>
  ref: string
  lines: string[]
  key: Awaited<ReturnType<typeof loadOrCreateKey>>
  run(over?: Partial<Job>, signal?: AbortSignal): Promise<JobResult>
}

/** A registry with an image, fake engines, and a way to run one job on them. */
export async function aBench(
  options: {
    engines?: RunnerEngine[]
    environment?: Record<string, string>
    basic?: string
    /** Unpacked layers of the image. */
    layers?: Buffer[]
    /** How long an engine may take, where that is not what its driver says. */
    timeoutMs?: Partial<Record<RunnerEngine, number>>
  } = {},
): Promise<Bench> {
  const registry = await aRegistry()
  onTestFinished(() => registry.close())
  registry.add(anImage(options.layers && { contents: options.layers }), '1.0')
  if (options.basic)
    registry.intercept = ({ headers }, response) => {
      if (headers.authorization === options.basic) return false
      response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      return true
    }
  const engines = await fakeEngines(options.engines)
  const environment = await anEnvironment('http://localhost', engines, options.environment)
  const config = configOf(environment)
  await clearRunningDirectory(config.workDir)
  const key = await loadOrCreateKey(config.workDir)
  const samples = config.sampleDatabases ? await readSamples(config.sampleDatabases) : null
  const databases = { trivyCacheDir: config.trivyCacheDir, grypeCacheDir: config.grypeCacheDir, samples }
  const drivers = engineTable(databases)
  for (const [name, timeoutMs] of Object.entries(options.timeoutMs ?? {}) as [RunnerEngine, number][])
    drivers[name] = { ...drivers[name], timeoutMs }
  const lines: string[] = []
  const redactor = createRedactor()
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level: 'debug', redactor, write, now: () => new Date() })
  const search = {
    enginesDir: config.enginesDir,
    scratchDir: runningDirectory(config.workDir),
    wanted: RUNNER_ENGINES,
  }
  const never = new AbortController().signal
  const installed = await findEngines({ ...search, drivers, log, signal: never })
  const run = (over: Partial<Job> = {}, signal = never) => {
    const job = aJob(`${registry.host}/team/app:1.0`, over)
    const progress = trackProgress(askedEngines(job), () => {})
    const deadlineMs = Date.now() + 60_000
    const workshop = { config, databases, drivers, engines: installed, privateKey: key.privateKey, redactor }
    return runJob({ ...workshop, job, agentId: 'agent-1', log, signal, deadlineMs, progress })
  }
  return { engines, environment, ref: `${registry.host}/team/app:1.0`, lines, key, run }
}

/** Each engine's status, or the code of its failure. */
export const statuses = ({ envelope }: JobResult) =>
  Object.fromEntries(envelope.engines.map(({ name, status, reason }) => [name, reason?.code ?? status]))
