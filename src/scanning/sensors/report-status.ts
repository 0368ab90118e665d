import type { BaseContext } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { runnerPool } from '../../db/objects.ts'
import { invalid, problem } from '../../http/problems.ts'
import { auditEnd, endJob, endScanOfJob, scanOfJob } from '../end-scan.ts'
import { isReasonCode, reason, type ScanReason } from '../reasons.ts'
import { tellViewers } from '../tell-viewers.ts'
import type { JobStatusRequest } from './protocol.ts'
import { releaseJob } from './release.ts'
import { type JobPlace, jobPlace, leaseLost, type RunnerIdentity } from './runner-identity.ts'

/**
 * What a runner says about a job's end apart from its result. `failed` ends the scan unless an upload came first;
 * `released`, and `cancelled` without a user's wish, put the job back; `completed` says nothing new to the holder of
 * a lease. Throws CONFLICT `lease_lost` to everybody but the holder.
 *
 * An agent without leases names no fence: it has what its key claimed last. It is never refused what comes late, and
 * nothing that it says changes a job whose upload is being received or has come; `completed` without one ends the
 * scan FAILED. Throws NOT_FOUND for a job that its key never claimed.
 */
export async function reportStatus(
  ctx: BaseContext,
  runner: RunnerIdentity,
  wireId: string,
  input: JobStatusRequest,
): Promise<void> {
  const fence = input.fence ?? null
  if (fence === null && runner.org === null) throw fenceRequired()
  const place = jobPlace(ctx, runner, wireId, fence === null ? unknownJob : leaseLost)
  const isSaidAlready = fence !== null && input.status === 'completed'
  const change = isSaidAlready ? null : changeOf(ctx, runner, place, fence, input)
  try {
    if (!change) return await expectHolder(ctx.now, runner, place, fence)
    await place.db.batch([stillHeld(ctx, runner, place, fence), EXPECT_ONE_CHANGE, ...change])
    tellViewers(ctx, place.org, [place.jobId])
    if (isReleased(input)) ctx.defer(runnerPool(ctx.env, runner.pool).announce(place.shard, ctx.now))
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
    await expectHolder(ctx.now, runner, place, fence)
  }
}

const fenceRequired = () => invalid({ path: 'fence', message: 'Required' })
const unknownJob = () => problem('NOT_FOUND', 'Job not found', { detail: 'unknown_job' })
const isReleased = ({ status }: JobStatusRequest) => status === 'released' || status === 'cancelled'

function changeOf(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { org, jobId }: JobPlace,
  fence: number | null,
  input: JobStatusRequest,
): Statement[] {
  if (isReleased(input)) return [releaseJob(org, jobId, fence, ctx.now)]
  const why = input.status === 'completed' ? reason('result_missing') : failureOf(input)
  const ending = { status: 'FAILED', reason: why } as const
  const actor = { kind: 'sensor', credentialId: runner.credentialId, registryId: runner.registryId } as const
  return [
    ...endScanOfJob(org, jobId, ending, ctx.now),
    endJob(org, jobId, ctx.now),
    auditEnd({ ...ctx, actor }, org, scanOfJob(org, jobId), ending),
  ]
}

/** A code of the catalogue as it is; anything else is the runner's failure, with its words cut. */
function failureOf({ reason: given, error }: JobStatusRequest): ScanReason {
  if (given && isReasonCode(given.code)) return { code: given.code, message: given.message }
  return reason('runner_error', given?.message ?? error ?? undefined)
}

const stillHeld = (
  ctx: BaseContext,
  runner: RunnerIdentity,
  { org, jobId }: JobPlace,
  fence: number | null,
): Statement =>
  fence === null
    ? statement(
        `UPDATE jobs SET updated_at = ?1 WHERE org = ?2 AND id = ?3 AND state = 'leased' AND credential_id = ?4
            AND unfenced = 1 AND coalesce(receiving_until, 0) <= ?1`,
        ctx.now,
        org,
        jobId,
        runner.credentialId,
      )
    : statement(
        `UPDATE jobs SET updated_at = ? WHERE org = ? AND id = ? AND state = 'leased' AND fence = ? AND credential_id = ?
            AND lease_until > ?`,
        ctx.now,
        org,
        jobId,
        fence,
        runner.credentialId,
        ctx.now,
      )

/** Quiet for who holds or held the job with this fence last; a lost lease, or an unknown job, for everybody else. */
async function expectHolder(
  now: number,
  { credentialId }: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  fence: number | null,
): Promise<void> {
  const job = await db.first<{ state: string; fence: number; unfenced: number; lease_until: number | null }>(
    statement(
      'SELECT state, fence, unfenced, lease_until FROM jobs WHERE org = ? AND id = ? AND credential_id = ?',
      org,
      jobId,
      credentialId,
    ),
  )
  if (fence === null) {
    if (!job) throw unknownJob()
    if (job.unfenced === 0 && job.state === 'leased') throw fenceRequired()
    return
  }
  const holds = job?.state === 'leased' ? job.lease_until! > now : job?.state !== 'queued'
  if (job?.fence !== fence || !holds) throw leaseLost()
}
