import type { BaseContext } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { runnerPool } from '../../db/objects.ts'
import { invalid } from '../../http/problems.ts'
import { auditEnd, endJob, endScanOfJob, scanOfJob } from '../end-scan.ts'
import { isReasonCode, reason, type ScanReason } from '../reasons.ts'
import { tellViewers } from '../tell-viewers.ts'
import type { JobStatusRequest } from './protocol.ts'
import { releaseJob } from './release.ts'
import { type JobPlace, jobPlace, leaseLost, type RunnerIdentity } from './runner-identity.ts'

/**
 * What a runner says about a job's end apart from its result. `failed` ends the scan unless an upload came first;
 * `released`, and `cancelled` without a user's wish, put the job back; `completed` says nothing new. Throws
 * CONFLICT `lease_lost` to everybody but the holder.
 */
export async function reportStatus(
  ctx: BaseContext,
  runner: RunnerIdentity,
  wireId: string,
  input: JobStatusRequest,
): Promise<void> {
  const { fence } = input
  if (fence === undefined) throw invalid({ path: 'fence', message: 'Required' })
  const place = jobPlace(ctx, runner, wireId)
  const change = input.status === 'completed' ? null : changeOf(ctx, runner, place, fence, input)
  try {
    if (!change) return await expectHolder(ctx.now, runner, place, fence)
    await place.db.batch([stillHeld(ctx, runner, place, fence), EXPECT_ONE_CHANGE, ...change])
    tellViewers(ctx, place.org, [place.jobId])
    if (input.status !== 'failed') ctx.defer(runnerPool(ctx.env, runner.pool).announce(place.shard, ctx.now))
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
    await expectHolder(ctx.now, runner, place, fence)
  }
}

function changeOf(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { org, jobId }: JobPlace,
  fence: number,
  input: JobStatusRequest,
): Statement[] {
  if (input.status !== 'failed') return [releaseJob(org, jobId, fence, ctx.now)]
  const ending = { status: 'FAILED', reason: failureOf(input) } as const
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
  return reason('runner_error', given?.message ?? error)
}

const stillHeld = (
  ctx: BaseContext,
  runner: RunnerIdentity,
  { org, jobId }: JobPlace,
  fence: number,
): Statement =>
  statement(
    `UPDATE jobs SET updated_at = ? WHERE org = ? AND id = ? AND state = 'leased' AND fence = ? AND credential_id = ?
        AND lease_until > ?`,
    ctx.now,
    org,
    jobId,
    fence,
    runner.credentialId,
    ctx.now,
  )

/** Quiet for who holds or held the job with this fence last; a lost lease for everybody else. */
async function expectHolder(
  now: number,
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  fence: number,
): Promise<void> {
  const row = await db.first<{ state: string }>(
    statement(
      `SELECT state FROM jobs WHERE org = ? AND id = ? AND fence = ? AND credential_id = ?
          AND (state IN ('uploaded', 'done') OR (state = 'leased' AND lease_until > ?))`,
      org,
      jobId,
      fence,
      runner.credentialId,
      now,
    ),
  )
  if (!row) throw leaseLost()
}
