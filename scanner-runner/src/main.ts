import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { CAPABILITIES, PROTOCOL_VERSION, type RegisterRequest } from '../../src/scanning/sensors/protocol.ts'
import { createActiveJobs } from './agent/active-jobs.ts'
import { runAgent } from './agent/agent.ts'
import { holdWorkDirectory } from './agent/work-directory.ts'
import { createClient } from './client/client.ts'
import { type Config, parseConfig } from './config.ts'
import { type DatabaseKeeper, keepDatabases, nothingToKeep } from './databases/database-keeper.ts'
import { type DatabaseSource, readSamples } from './databases/database-source.ts'
import { updateDatabases } from './databases/update-databases.ts'
import { isRunnerEngine } from './engines/engine.ts'
import { engineTable } from './engines/engine-table.ts'
import { findEngines } from './engines/installed-engines.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Workshop } from './job/run-job.ts'
import { clearRunningDirectory, runningDirectory } from './job/running-directory.ts'
import { loadOrCreateKey, type RunnerKey } from './key-pair.ts'
import { createLog, type Log, type LogLevel } from './log.ts'
import { createRunnerMetrics } from './metrics/runner-metrics.ts'
import { type Served, startMetrics } from './metrics/start-metrics.ts'
import { createRedactor } from './redact.ts'
import { RUNNER_VERSION } from './version.ts'

const UNHEALTHY_AFTER_MS = 150_000 // five missed heartbeats: the lease is gone by then
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' }

const redactor = createRedactor()
const logAt = (level: LogLevel): Log =>
  createLog({ level, redactor, write: (line) => process.stdout.write(line), now: () => new Date() })

process.on('uncaughtException', (error) => {
  logAt('info').error('crashed', { error })
  process.exit(EXIT.crashed)
})
process.exitCode = await main()

/** The runner, from its environment to its exit code. */
async function main(): Promise<ExitCode> {
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort())
  const parsed = parseConfig(process.env, (path) => readFileSync(path, 'utf8'))
  if (!parsed.ok) {
    logAt('info').error('configuration_invalid', { problems: parsed.problems })
    return EXIT.configuration
  }
  const { config } = parsed
  redactor.add(config.apiKey)
  const log = logAt(config.logLevel)
  try {
    return await serve(config, log, stop.signal)
  } catch (error) {
    log.error('crashed', { error })
    return EXIT.crashed
  }
}

async function serve(config: Config, log: Log, stop: AbortSignal): Promise<ExitCode> {
  let lastContact: number | null = null
  let served: Served | 'refused' | null = null
  const health = () => ({
    healthy: lastContact !== null && Date.now() - lastContact < UNHEALTHY_AFTER_MS,
    lastContactSeconds: lastContact === null ? null : Math.round((Date.now() - lastContact) / 1000),
  })
  const hold = await holdWorkDirectory(config.workDir, health).catch((error) => {
    log.error('work_directory_unusable', { error })
    return null
  })
  if (!hold) return EXIT.workDirectory
  try {
    const prepared = await prepare(config, log, stop)
    if (!prepared) return EXIT.configuration
    const { workshop, key } = prepared
    const client = createClient({ baseUrl: config.dashboardUrl, apiKey: config.apiKey }, log)
    const jobs = createActiveJobs()
    const metrics = createRunnerMetrics({ activeJobs: jobs.size, lastContact: () => lastContact })
    served = await startMetrics(config, { metrics: metrics.text, health }, log)
    if (served === 'refused') return EXIT.configuration
    return await runAgent({
      ...{ workshop, client, log, stop, metrics, jobs },
      register: (signal) => client.register(describeRunner(config, workshop, key), signal),
      databases: databaseKeeper(workshop, log),
      onContact: () => {
        lastContact = Date.now()
      },
    })
  } finally {
    if (served && served !== 'refused') await served.close()
    await hold.release()
  }
}

/** Everything that is settled once, at start. Null, with the reason logged, when the configuration cannot be used. */
async function prepare(
  config: Config,
  log: Log,
  signal: AbortSignal,
): Promise<{ workshop: Workshop; key: RunnerKey } | null> {
  try {
    const leftovers = await clearRunningDirectory(config.workDir)
    if (leftovers > 0) log.warn('leftovers_removed', { count: leftovers })
    const key = await loadOrCreateKey(config.workDir)
    const databases = await databaseSource(config)
    const drivers = engineTable(databases)
    const wanted = config.enabledScanners.filter(isRunnerEngine)
    const { enginesDir, workDir } = config
    const engines = await findEngines({
      enginesDir,
      scratchDir: runningDirectory(workDir),
      wanted,
      drivers,
      log,
      signal,
    })
    if (engines.length === 0) log.error('no_engines', { enginesDir: config.enginesDir })
    return { key, workshop: { config, databases, drivers, engines, privateKey: key.privateKey, redactor } }
  } catch (error) {
    log.error('configuration_invalid', { error })
    return null
  }
}

async function databaseSource(config: Config): Promise<DatabaseSource> {
  const { trivyCacheDir, grypeCacheDir, sampleDatabases } = config
  const samples = sampleDatabases === null ? null : await readSamples(sampleDatabases)
  return { trivyCacheDir, grypeCacheDir, samples }
}

function databaseKeeper({ engines, databases, config }: Workshop, log: Log): DatabaseKeeper {
  if (databases.samples) return nothingToKeep
  const scratchDir = runningDirectory(config.workDir)
  const common = { engines, source: databases, scratchDir, environment: process.env, log }
  return keepDatabases((signal) => updateDatabases({ ...common, signal }), log)
}

function describeRunner(config: Config, { engines }: Workshop, { publicKey }: RunnerKey): RegisterRequest {
  return {
    name: config.agentName,
    version: RUNNER_VERSION,
    hostname: hostname(),
    os: process.platform,
    arch: ARCHITECTURES[process.arch] ?? process.arch,
    scannerVersions: Object.fromEntries(engines.map(({ name, version }) => [name, version])),
    capabilities: [...CAPABILITIES],
    labels: config.labels,
    concurrency: config.concurrency,
    protocolVersion: PROTOCOL_VERSION,
    publicKey,
  }
}
