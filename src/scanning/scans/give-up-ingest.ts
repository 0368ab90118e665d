import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { endScanOfDoneJob } from '../end-scan.ts'
import { reason } from '../reasons.ts'

/** Ends a scan whose result could not be stored however often it was tried. One that was stored after all stays. */
export async function giveUpIngest(ctx: Context, jobId: string): Promise<void> {
  const org = ctx.organization.num
  const why = reason('ingest_failed')
  try {
    await ctx.db.batch([
      statement(
        `UPDATE jobs SET state = 'done', phase = 'done', result_key = NULL, updated_at = ?
          WHERE org = ? AND id = ? AND state = 'uploaded'`,
        ctx.now,
        org,
        jobId,
      ),
      EXPECT_ONE_CHANGE,
      ...endScanOfDoneJob(org, jobId, { status: 'FAILED', reason: why }, ctx.now),
      auditRow(ctx, org, 'scan.failed', `scan:${jobId}`, { id: jobId, reason: why }),
    ])
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
  }
}
