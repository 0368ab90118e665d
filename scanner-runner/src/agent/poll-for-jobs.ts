import { setTimeout as sleep } from 'node:timers/promises'
import { reason } from '../../../src/scanning/reasons.ts'
import type { Job } from '../../../src/scanning/sensors/protocol.ts'
import type { Client, Poll } from '../client/client.ts'
import { ServerRefused } from '../client/request.ts'
import type { DatabaseKeeper } from '../databases/database-keeper.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Workshop } from '../job/run-job.ts'
import type { Log } from '../log.ts'
import type { RunnerMetrics } from '../metrics/runner-metrics.ts'
import type { ActiveJobs } from './active-jobs.ts'
import { afterStop } from './after-stop.ts'
import { isTooOld, sayTooOld } from './too-old.ts'

const MAX_WAIT_MS = 30_000 // between polls of a server that does not answer
export const LAST_REPLY_MS = 2000 // that a poll which is held gets after a stop: a job may be on its way
const REFUSALS_BEFORE_EXIT = 3 // a key that is refused this often in a row is revoked
const STATUS_TIMEOUT_MS = 15_000

export interface Polling {
  workshop: Workshop
  client: Client
  agentId: string
  databases: DatabaseKeeper
  jobs: ActiveJobs
  begin: (job: Job) => void
  onContact: () => void
  metrics: RunnerMetrics
  /** How long the server may hold a poll; 0 for one that answers at once. */
  waitSeconds: number
  log: Log
  stop: AbortSignal
}

/**
 * Asks for jobs while there is room for one, until stopped or until the key is refused for good. A server that holds
 * polls is asked again at once; any other after the interval.
 */
export async function pollForJobs(polling: Polling): Promise<ExitCode> {
  const { jobs, databases, workshop, stop, waitSeconds } = polling
  // a poll in flight may have leased a job, so a stop does not cut it at once
  const pollSignal = afterStop(stop, waitSeconds > 0 ? LAST_REPLY_MS : workshop.config.shutdownGraceMs)
  let failures = 0
  let refusals = 0
  while (!stop.aborted) {
    if (jobs.size() === 0 && databases.due()) await databases.update(stop)
    const free = jobs.size() < workshop.config.concurrency && !databases.due()
    const began = { at: Date.now(), jobs: jobs.size() }
    const isHeld = free && failures === 0 && waitSeconds > 0
    if (free && !stop.aborted) {
      // behind a failure the next poll does not wait: what cuts long replies off lets short ones through
      const error = await pollOnce(polling, isHeld ? waitSeconds : 0, pollSignal)
      if (isTooOld(error)) return sayTooOld(polling.log)
      if (error && failures === 0 && !stop.aborted) polling.log.warn('poll_failed', { error })
      if (!error && failures > 0) polling.log.info('poll_recovered')
      failures = error ? failures + 1 : 0
      refusals = isKeyRefusal(error) ? refusals + 1 : 0
      if (refusals >= REFUSALS_BEFORE_EXIT) {
        polling.log.error('key_refused', { error })
        return EXIT.refused
      }
    }
    const interval = workshop.config.pollIntervalMs
    const left = jobs.size() > began.jobs ? 0 : Math.max(0, began.at + interval - Date.now())
    await rest(polling, failures, isHeld ? left : interval)
  }
  return EXIT.stopped
}

/** One poll and what it brings; resolves with its error, or null. */
async function pollOnce(polling: Polling, waitSeconds: number, signal: AbortSignal): Promise<unknown> {
  try {
    const found = await polling.client.poll(polling.agentId, waitSeconds, signal)
    polling.onContact()
    take(found, polling)
    return null
  } catch (error) {
    if (!polling.stop.aborted) polling.metrics.pollFailed()
    return error
  }
}

function take(
  { jobs: handed, unreadable, cancelJobs }: Poll,
  { client, jobs, begin, log, stop }: Pick<Polling, 'client' | 'jobs' | 'begin' | 'log' | 'stop'>,
): void {
  for (const id of cancelJobs) jobs.stop(id, 'cancelled')
  for (const { id, fence } of unreadable) {
    log.error('job_unreadable', { job: id })
    const why = reason('runner_error', 'It does not understand the job.')
    client
      .status(id, { status: 'failed', fence, reason: why }, STATUS_TIMEOUT_MS, stop)
      .catch((error) => log.warn('job_not_reported', { error }))
  }
  for (const job of handed) begin(job)
}

/** Pauses before the next poll, longer after failures, until a job ends or the stop comes. */
async function rest({ jobs, workshop, stop }: Polling, failures: number, pauseMs: number): Promise<void> {
  const interval = workshop.config.pollIntervalMs
  const waitMs = failures === 0 ? pauseMs : Math.min(MAX_WAIT_MS, interval * 2 ** Math.min(failures, 8))
  const over = new AbortController()
  const signal = AbortSignal.any([stop, over.signal])
  await Promise.race([sleep(waitMs, undefined, { signal }).catch(() => {}), jobs.nextEnd()])
  over.abort()
}

const isKeyRefusal = (error: unknown): boolean =>
  error instanceof ServerRefused && (error.status === 401 || error.status === 403)
