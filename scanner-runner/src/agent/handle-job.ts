import { type ReasonCode, reason } from '../../../src/scanning/reasons.ts'
import {
  type Job,
  type JobStatusRequest,
  MAX_UPLOAD_BYTES,
  Result,
} from '../../../src/scanning/sensors/protocol.ts'
import type { Client } from '../client/client.ts'
import { ServerRefused } from '../client/request.ts'
import { isDiskFull } from '../disk-full.ts'
import { eachLimit } from '../each-limit.ts'
import { type StopKind, stopKind } from '../job/job-stopped.ts'
import type { ProgressTracker } from '../job/progress.ts'
import { type JobResult, runJob, type Workshop } from '../job/run-job.ts'
import type { Log } from '../log.ts'
import type { JobOutcome, RunnerMetrics } from '../metrics/runner-metrics.ts'
import { afterStop } from './after-stop.ts'

const BLOBS_AT_A_TIME = 3
const STATUS_TIMEOUT_MS = 15_000
const LAST_WORDS_MS = 10_000 // a job that was stopped does not hold the runner for longer

export interface JobHandling {
  workshop: Workshop
  client: Client
  agentId: string
  job: Job
  progress: ProgressTracker
  signal: AbortSignal
  log: Log
  metrics: RunnerMetrics
}

/** Runs a job and reports it, whatever happens. Never rejects: what cannot be reported is left to the lease. */
export async function handleJob(handling: JobHandling): Promise<void> {
  const { job, log, workshop, metrics } = handling
  const started = Date.now()
  const deadline = AbortSignal.timeout(workshop.config.scanTimeoutMs)
  const signal = AbortSignal.any([handling.signal, deadline])
  const deadlineMs = started + workshop.config.scanTimeoutMs
  log.info('job_started', { image: job.scan.imageRef, platform: job.platform })
  try {
    const { agentId, progress } = handling
    const result = await runJob({ ...workshop, job, agentId, log, signal, deadlineMs, progress })
    const { scan, engines } = result.envelope
    metrics.engineRuns(engines)
    await deliver(handling, result, signal)
    const statuses = Object.fromEntries(engines.map(({ name, status }) => [name, status]))
    const durationMs = Date.now() - started
    metrics.jobEnded(OUTCOMES[scan.status], durationMs / 1000)
    log.info('job_done', { status: scan.status, reason: scan.reason?.code, engines: statuses, durationMs })
  } catch (error) {
    const last = farewell(error, stopKind(signal))
    log.warn('job_ended', { why: last?.status ?? 'lease_lost', reason: last?.reason?.code, error })
    metrics.jobEnded(last ? outcomeOf(last) : 'lease_lost', (Date.now() - started) / 1000)
    if (last) await say(handling, last)
  }
}

/** Blobs first, then the envelope: a result never names what is not there. */
async function deliver(
  handling: JobHandling,
  { envelope, blobs }: JobResult,
  signal: AbortSignal,
): Promise<void> {
  const { client, job, progress } = handling
  const parsed = Result.safeParse(envelope)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new Undeliverable(`${issue?.path.join('.').slice(0, 200)}: ${issue?.code}`)
  }
  const bytes = new TextEncoder().encode(JSON.stringify(parsed.data))
  if (bytes.length > MAX_UPLOAD_BYTES) throw new Undeliverable(`It has ${bytes.length} bytes.`)
  let sent = 0
  progress.uploading(0, blobs.length + 1)
  await eachLimit(blobs, BLOBS_AT_A_TIME, async (blob) => {
    await client.putBlob({ id: job.id, fence: job.lease.fence }, blob, signal)
    sent += 1
    progress.uploading(sent, blobs.length + 1)
  })
  await client.upload(bytes, signal)
}

class Undeliverable extends Error {
  override name = 'Undeliverable'
}

const OUTCOMES = { SUCCESS: 'success', PARTIAL: 'partial', FAILED: 'failed' } as const

type Farewell = Omit<JobStatusRequest, 'fence'>

function outcomeOf({ status, reason: why }: Farewell): JobOutcome {
  if (status === 'cancelled' || status === 'released') return status
  return why?.code === 'timeout' ? 'timeout' : 'error'
}

/** What is said to the server about a job that ends without a result; null when it is no longer ours. */
function farewell(error: unknown, stopped: StopKind | null): Farewell | null {
  const failed = (code: ReasonCode, detail?: string): Farewell => ({
    status: 'failed',
    reason: reason(code, detail),
  })
  switch (stopped) {
    case 'cancelled':
      return { status: 'cancelled' }
    case 'released':
      return { status: 'released' }
    case 'timeout':
      return failed('timeout', 'The runner allows less.')
    case 'lease_lost':
      return null
    case null:
      break
    default:
      return stopped satisfies never
  }
  if (error instanceof ServerRefused && error.status === 409) return null
  if (error instanceof ServerRefused) return failed('result_invalid', error.message)
  if (error instanceof Undeliverable) return failed('result_invalid', error.message)
  if (isDiskFull(error)) return failed('disk_full')
  return failed('runner_error', (error as Error).name)
}

async function say({ client, job, log, signal }: JobHandling, last: Farewell): Promise<void> {
  const body = { ...last, fence: job.lease.fence, error: last.reason?.message }
  await client
    .status(job.id, body, STATUS_TIMEOUT_MS, afterStop(signal, LAST_WORDS_MS))
    .catch((error) => log.warn('job_not_reported', { error }))
}
