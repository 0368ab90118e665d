import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fingerprint } from './fingerprint.ts'
import { plainLine } from './plain-line.ts'
import { freePort } from './ports.ts'
import type { Processes } from './processes.ts'
import type { LocalState } from './state.ts'

const START_TIMEOUT_MS = 60_000 // bundling and workerd take about five seconds on two cores
const CRON_INTERVAL_MS = 60_000 // what wrangler.toml's cron says; local cron does not fire by itself
const DATABASES = ['DIRECTORY', 'SHARD_00', 'SHARD_01']

export interface LocalWorker {
  url: string
  /** Triggers the scheduled handler once. */
  runCron(): Promise<void>
  /** Rejects when the Worker's process ends. */
  died: Promise<never>
  stop(): Promise<void>
}

/** Applies the migrations to the persisted databases when their files changed since the last time. */
export async function migrate(root: string, state: LocalState, processes: Processes): Promise<boolean> {
  const current = fingerprint(root, ['migrations/directory', 'migrations/shard'])
  if (state.read('migrations') === current) return false
  for (const database of DATABASES) {
    await processes.run(
      'wrangler',
      ['d1', 'migrations', 'apply', database, '--local', '--persist-to', state.persistDir],
      { cwd: root, env: { ...process.env, CI: 'true' } },
    )
  }
  state.write('migrations', current)
  return true
}

/**
 * Serves the Worker through wrangler with persisted bindings; its output goes to `worker.log` in the state directory.
 * `variables` stand beside those of wrangler.toml.
 */
export async function startWorker(
  root: string,
  state: LocalState,
  processes: Processes,
  preferredPort: number,
  variables: Record<string, string> = {},
): Promise<LocalWorker> {
  const port = await freePort(preferredPort)
  const child = processes.start(
    'wrangler',
    [
      ...['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0'],
      ...['--persist-to', state.persistDir, '--env-file', state.secretsFile],
      ...Object.entries({ ALLOW_PRIVATE_NETWORKS: 'true', ...variables }).flatMap(([name, value]) => [
        '--var',
        `${name}:${value}`,
      ]),
      '--show-interactive-dev-session=false',
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1', CI: 'true' } },
  )
  const log = createWriteStream(join(state.dir, 'worker.log'), { mode: 0o600 })
  for (const output of [child.stdout!, child.stderr!]) {
    createInterface({ input: output }).on('line', (line) => {
      const plain = plainLine(line)
      if (plain !== null && !log.writableEnded) log.write(`${plain}\n`)
    })
  }
  const url = `http://127.0.0.1:${port}`
  const died = new Promise<never>((_, reject) =>
    child.once('exit', (code) =>
      reject(new Error(`the Worker stopped (code ${code}); see ${join(state.dir, 'worker.log')}`)),
    ),
  )
  died.catch(() => {})
  await Promise.race([untilHealthy(url), died])
  const runCron = async () => {
    await fetch(`${url}/cdn-cgi/handler/scheduled`, { signal: AbortSignal.timeout(60_000) })
  }
  const timer = setInterval(() => runCron().catch(() => {}), CRON_INTERVAL_MS)
  return {
    url,
    runCron,
    died,
    stop: async () => {
      clearInterval(timer)
      await processes.stop(child)
      log.end()
    },
  }
}

async function untilHealthy(url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline) {
    const answer = await fetch(`${url}/api/health`, { signal: AbortSignal.timeout(5000) }).catch(() => null)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the Worker did not answer within ${START_TIMEOUT_MS / 1000} seconds`)
}
