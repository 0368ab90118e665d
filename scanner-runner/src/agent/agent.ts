import { setTimeout as sleep } from 'node:timers/promises'
import {
  HEARTBEAT_SECONDS,
  type Job,
  type RegisterReply,
  STOPPING,
} from '../../../src/scanning/sensors/protocol.ts'
import type { Client } from '../client/client.ts'
import { ServerRefused } from '../client/request.ts'
import type { DatabaseKeeper } from '../databases/database-keeper.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { trackProgress } from '../job/progress.ts'
import { askedEngines, type Workshop } from '../job/run-job.ts'
import type { Log } from '../log.ts'
import type { RunnerMetrics } from '../metrics/runner-metrics.ts'
import type { ActiveJobs } from './active-jobs.ts'
import { handleJob } from './handle-job.ts'
import { startHeartbeats } from './heartbeats.ts'
import { LAST_REPLY_MS, pollForJobs } from './poll-for-jobs.ts'
import { isTooOld, sayTooOld } from './too-old.ts'

const PROGRESS_GAP_MS = 2000
const HEARTBEAT_RETRY_MS = 5000

export interface AgentOptions {
  workshop: Workshop
  client: Client
  log: Log
  metrics: RunnerMetrics
  jobs: ActiveJobs
  /** Rejects with ServerRefused when the server says no. */
  register: (signal: AbortSignal) => Promise<RegisterReply>
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
  const { jobs } = options
  const registered = await options.register(options.stop).catch((error: unknown) => {
    if (options.stop.aborted) return EXIT.stopped
    if (isTooOld(error)) return sayTooOld(options.log)
    options.log.error('registration_refused', { error })
    return error instanceof ServerRefused ? EXIT.refused : EXIT.crashed
  })
  if (typeof registered === 'number') return registered
  const { agentId, capabilities = [] } = registered
  const engines = options.workshop.engines.map(({ name, version }) => `${name} ${version}`)
  options.log.info('registered', { agentId, engines })
  options.onContact()
  const heartbeats = startHeartbeats({
    intervalMs: options.heartbeatMs ?? HEARTBEAT_SECONDS * 1000,
    minGapMs: options.progressGapMs ?? PROGRESS_GAP_MS,
    retryMs: HEARTBEAT_RETRY_MS,
    beat: heartbeat(options, agentId, jobs),
    log: options.log,
  })
  try {
    const begin = (job: Job) => beginJob(job, options, agentId, jobs, heartbeats.nudge)
    const waitSeconds = capabilities.includes('wait') ? options.workshop.config.pollWaitSeconds : 0
    if (waitSeconds > 0) answerHeldPoll(options, agentId, jobs)
    return await pollForJobs({ ...options, agentId, begin, waitSeconds })
  } finally {
    await finish(jobs, options)
    heartbeats.stop()
  }
}

/** At a stop the server is told, so that it answers the poll that it holds. */
function answerHeldPoll({ client, stop }: AgentOptions, agentId: string, jobs: ActiveJobs): void {
  const tell = () =>
    client
      .heartbeat({ agentId, status: STOPPING, jobs: jobs.describe() }, AbortSignal.timeout(LAST_REPLY_MS))
      .catch(() => {}) // then the poll is cut
  stop.addEventListener('abort', tell, { once: true })
}

/** One beat: says what is in hand and obeys the answer. A refused lease ends the one job that was named. */
function heartbeat(
  { client, onContact, metrics }: AgentOptions,
  agentId: string,
  jobs: ActiveJobs,
): () => Promise<void> {
  const startedAt = Date.now()
  return async () => {
    const held = jobs.describe()
    const uptimeSeconds = Math.round((Date.now() - startedAt) / 1000)
    const status = held.length > 0 ? 'scanning' : 'idle'
    const body = { agentId, status, activeScans: held.length, uptimeSeconds, jobs: held }
    try {
      jobs.obey(await client.heartbeat(body, new AbortController().signal))
    } catch (error) {
      const [only] = held
      if (!(error instanceof ServerRefused && error.status === 409 && only && held.length === 1)) {
        metrics.heartbeatFailed()
        throw error
      }
      jobs.stop(only.id, 'lease_lost')
    }
    onContact()
  }
}

/** Begins a job that was handed out. The same lease twice is one job; a newer lease of it ends the older. */
function beginJob(
  job: Job,
  { workshop, client, log, metrics }: AgentOptions,
  agentId: string,
  jobs: ActiveJobs,
  onProgress: () => void,
): void {
  const { id, lease } = job
  const known = jobs.get(id)
  if (known && known.fence >= lease.fence) return
  jobs.stop(id, 'lease_lost')
  const stop = new AbortController()
  const progress = trackProgress(askedEngines(job), onProgress, metrics.pulled)
  const about = log.with({ job: id, fence: lease.fence })
  const handling = { workshop, client, agentId, job, progress, signal: stop.signal, log: about, metrics }
  const done = (known?.done ?? Promise.resolve()).then(() => handleJob(handling))
  jobs.add({ id, fence: lease.fence, stop, progress: progress.current, done })
}

/** Lets jobs end within the grace period, then hands them back. */
async function finish(jobs: ActiveJobs, { workshop, log }: AgentOptions): Promise<void> {
  if (jobs.size() === 0) return
  log.info('stopping', { activeScans: jobs.size() })
  await Promise.race([jobs.ended(), sleep(workshop.config.shutdownGraceMs, undefined, { ref: false })])
  jobs.stopAll('released')
  await jobs.ended()
}
