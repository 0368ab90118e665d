import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { RUNNING_LIMIT, UNCLAIMED_LIMIT } from '../bounds.ts'
import type { ReasonCode } from '../reasons.ts'

/** A scan that ended only because a message died. Every other end stays. */
const GIVEN_UP = (code: ReasonCode) => `status = 'FAILED' AND reason ->> 'code' = '${code}'`
const OPEN = 'reason = NULL, scanned_at = NULL, duration_ms = NULL'

/** Takes back the end of a scan whose dispatch was given up, before it is tried again. It has a new bound. */
export const reopenDispatch = (ctx: Context, scanId: string): Promise<number> =>
  ctx.db.run(
    statement(
      `UPDATE scans SET status = 'PENDING', ${OPEN}, deadline_at = ?3
        WHERE org = ?1 AND id = ?2 AND ${GIVEN_UP('dispatch_failed')} AND job_id IS NULL AND leader_id IS NULL`,
      ctx.organization.num,
      scanId,
      ctx.now + UNCLAIMED_LIMIT,
    ),
  )

/**
 * The same for a scan whose result could not be ingested, with those that follow it, while its job and result are
 * still there. The result keeps the time at which it came.
 */
export async function reopenIngest(ctx: Context, jobId: string): Promise<void> {
  const org = ctx.organization.num
  const scan = '(SELECT scan_id FROM jobs WHERE org = ?1 AND id = ?2)'
  const open = `SET status = 'IN_PROGRESS', ${OPEN}, deadline_at = ?3`
  const values = [org, jobId, ctx.now + RUNNING_LIMIT] as const
  try {
    await ctx.db.batch([
      statement(
        `UPDATE jobs SET state = 'uploaded', phase = 'ingesting', cancel = 0, updated_at = ?3
          WHERE org = ?1 AND id = ?2 AND state = 'done' AND result_key IS NOT NULL AND EXISTS
            (SELECT 1 FROM scans s WHERE s.org = ?1 AND s.id = jobs.scan_id AND ${GIVEN_UP('ingest_failed')})`,
        org,
        jobId,
        ctx.now,
      ),
      EXPECT_ONE_CHANGE,
      statement(
        `UPDATE scans INDEXED BY scans_followers ${open}
          WHERE org = ?1 AND leader_id = ${scan} AND ${GIVEN_UP('ingest_failed')}`,
        ...values,
      ),
      statement(
        `UPDATE scans ${open} WHERE org = ?1 AND id = ${scan} AND ${GIVEN_UP('ingest_failed')}`,
        ...values,
      ),
    ])
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
  }
}
