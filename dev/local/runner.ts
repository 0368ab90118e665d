import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import type { Processes } from './processes.ts'

export interface RunnerOptions {
  root: string
  stateDir: string
  workerUrl: string
  apiKey: string
  name: string
  enginesDir: string
  /** Null: official databases, updated by the engines themselves. */
  sampleDatabases: string | null
}

/** Starts the scanner-runner as a process of its own; its log goes to `<name>.log` in the state directory. */
export function startRunner(options: RunnerOptions, processes: Processes) {
  const workDir = join(options.stateDir, options.name)
  const child = processes.start(process.execPath, [join(options.root, 'scanner-runner/src/main.ts')], {
    cwd: options.root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      HG_DASHBOARD_URL: options.workerUrl,
      HG_API_KEY: options.apiKey,
      HG_AGENT_NAME: options.name,
      HG_WORK_DIR: workDir,
      HG_ENGINES_DIR: options.enginesDir,
      HG_POLL_INTERVAL_MS: '500',
      HG_ALLOW_PRIVATE_NETWORKS: 'true',
      ...(options.sampleDatabases && { HG_SAMPLE_DATABASES: options.sampleDatabases }),
    },
  })
  const log = createWriteStream(join(options.stateDir, `${options.name}.log`), { mode: 0o600 })
  child.stdout!.pipe(log)
  child.stderr!.pipe(log, { end: false })
  return child
}
