import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { auditEnd, endScanOfJob, scanOfJob } from '../end-scan.ts'
import { reason } from '../reasons.ts'
import { tellViewers } from '../tell-viewers.ts'

/**
 * Ends a scan whose result could not be stored however often it was tried. One that was stored after all stays. The
 * result stays with the job, for as long as the job is remembered.
 */
export async function giveUpIngest(ctx: Context, jobId: string): Promise<void> {
  const org = ctx.organization.num
  const ending = { status: 'FAILED', reason: reason('ingest_failed') } as const
  try {
    await ctx.db.batch([
      statement(
        `UPDATE jobs SET state = 'done', phase = 'done', updated_at = ?
          WHERE org = ? AND id = ? AND state = 'uploaded'`,
        ctx.now,
        org,
        jobId,
      ),
      EXPECT_ONE_CHANGE,
      ...endScanOfJob(org, jobId, ending, ctx.now),
      auditEnd(ctx, org, scanOfJob(org, jobId), ending),
    ])
    tellViewers(ctx, org, [jobId])
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
  }
}
