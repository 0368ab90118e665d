import { setTimeout as sleep } from 'node:timers/promises'
import { reason } from '../../../src/scanning/reasons.ts'
import { HEARTBEAT_SECONDS, type Job } from '../../../src/scanning/sensors/protocol.ts'
import type { Client, Poll } from '../client/client.ts'
import { ServerRefused } from '../client/request.ts'
import type { DatabaseKeeper } from '../databases/database-keeper.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { trackProgress } from '../job/progress.ts'
import { askedEngines, type Workshop } from '../job/run-job.ts'
import type { Log } from '../log.ts'
import { createActiveJobs } from './active-jobs.ts'
import { afterStop } from './after-stop.ts'
import { handleJob } from './handle-job.ts'
import { startHeartbeats } from './heartbeats.ts'

const PROGRESS_GAP_MS = 2000
const HEARTBEAT_RETRY_MS = 5000
const MAX_POLL_WAIT_MS = 30_000
const REFUSALS_BEFORE_EXIT = 3 // a key that is refused this often in a row is revoked
const STATUS_TIMEOUT_MS = 15_000

export interface AgentOptions {
  workshop: Workshop
  client: Client
  log: Log
  /** Registers and returns the agent id; rejects with ServerRefused when the server says no. */
  register: (signal: AbortSignal) => Promise<string>
  databases: DatabaseKeeper
  /** The server answered just now. */
  onContact: () => void
  /** Aborted when the process is asked to stop. */
  stop: AbortSignal
  heartbeatMs?: number
  progressGapMs?: number
}

/** Registers, then leases and runs jobs until asked to stop. Resolves with the exit code; leaves no job behind. */
export async function runAgent(options: AgentOptions): Promise<ExitCode> {
  const { client, log, stop, workshop } = options
  const registered = await options.register(stop).catch((error) => {
    if (stop.aborted) return null
    log.error('registration_refused', { error })
    return error instanceof ServerRefused ? EXIT.refused : EXIT.crashed
  })
  if (registered === null) return EXIT.stopped
  if (typeof registered === 'number') return registered
  const agentId = registered
  log.info('registered', {
    agentId,
    engines: workshop.engines.map(({ name, version }) => `${name} ${version}`),
  })
  options.onContact()

  const jobs = createActiveJobs()
  const startedAt = Date.now()
  const beat = async () => {
    const activeScans = jobs.size()
    const status = activeScans > 0 ? 'scanning' : 'idle'
    const uptimeSeconds = Math.round((Date.now() - startedAt) / 1000)
    const held = jobs.describe()
    const body = { agentId, status, activeScans, uptimeSeconds, jobs: held }
    try {
      jobs.obey(await client.heartbeat(body, new AbortController().signal))
    } catch (error) {
      const [only] = held
      if (!(error instanceof ServerRefused && error.status === 409 && only && held.length === 1)) throw error
      jobs.stop(only.id, 'lease_lost')
    }
    options.onContact()
  }
  const heartbeats = startHeartbeats({
    intervalMs: options.heartbeatMs ?? HEARTBEAT_SECONDS * 1000,
    minGapMs: options.progressGapMs ?? PROGRESS_GAP_MS,
    retryMs: HEARTBEAT_RETRY_MS,
    beat,
    log,
  })
  const begin = (job: Job) => {
    const known = jobs.get(job.id)
    if (known && known.fence >= job.lease.fence) return
    jobs.stop(job.id, 'lease_lost')
    const controller = new AbortController()
    const progress = trackProgress(askedEngines(job), heartbeats.nudge)
    const about = log.with({ job: job.id, fence: job.lease.fence })
    const handling = { workshop, client, agentId, job, progress, signal: controller.signal, log: about }
    const done = (known?.done ?? Promise.resolve()).then(() => handleJob(handling))
    jobs.add({ id: job.id, fence: job.lease.fence, stop: controller, progress: progress.current, done })
  }

  try {
    const code = await pollUntilStopped()
    return code
  } finally {
    await finish()
    heartbeats.stop()
  }

  async function pollUntilStopped(): Promise<ExitCode> {
    let failures = 0
    let refusals = 0
    while (!stop.aborted) {
      if (jobs.size() === 0 && options.databases.due()) await options.databases.update(stop)
      const free = jobs.size() < workshop.config.concurrency && !options.databases.due()
      if (free && !stop.aborted) {
        try {
          take(await client.poll(agentId, afterStop(stop, workshop.config.shutdownGraceMs)))
          options.onContact()
          if (failures > 0) log.info('poll_recovered')
          failures = 0
          refusals = 0
        } catch (error) {
          if (failures === 0 && !stop.aborted) log.warn('poll_failed', { error })
          failures += 1
          refusals = isKeyRefusal(error) ? refusals + 1 : 0
          if (refusals >= REFUSALS_BEFORE_EXIT) {
            log.error('key_refused', { error })
            return EXIT.refused
          }
        }
      }
      await rest(failures)
    }
    return EXIT.stopped
  }

  /** Waits for the next poll: the interval, longer after failures, shorter when a job ends or the stop comes. */
  async function rest(failures: number): Promise<void> {
    const interval = workshop.config.pollIntervalMs
    const waitMs =
      failures === 0 ? interval : Math.min(MAX_POLL_WAIT_MS, interval * 2 ** Math.min(failures, 8))
    const over = new AbortController()
    const signal = AbortSignal.any([stop, over.signal])
    await Promise.race([sleep(waitMs, undefined, { signal }).catch(() => {}), jobs.nextEnd()])
    over.abort()
  }

  function take({ jobs: handed, unreadable, cancelJobs }: Poll): void {
    for (const id of cancelJobs) jobs.stop(id, 'cancelled')
    for (const { id, fence } of unreadable) {
      log.error('job_unreadable', { job: id })
      const body = {
        status: 'failed' as const,
        fence,
        reason: reason('runner_error', 'It does not understand the job.'),
      }
      client
        .status(id, body, STATUS_TIMEOUT_MS, stop)
        .catch((error) => log.warn('job_not_reported', { error }))
    }
    for (const job of handed) begin(job)
  }

  /** Lets jobs end within the grace period, then hands them back. */
  async function finish(): Promise<void> {
    if (jobs.size() === 0) return
    log.info('stopping', { activeScans: jobs.size() })
    await Promise.race([jobs.ended(), sleep(workshop.config.shutdownGraceMs, undefined, { ref: false })])
    jobs.stopAll('released')
    await jobs.ended()
  }
}

const isKeyRefusal = (error: unknown): boolean =>
  error instanceof ServerRefused && (error.status === 401 || error.status === 403)
