import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { auditEnd } from '../end-scan.ts'
import { tellViewers } from '../tell-viewers.ts'

/** The first of the scans that follow ?2 and have not ended: it takes the job over. */
const HEIR = `(SELECT f.id FROM scans f INDEXED BY scans_followers
  WHERE f.org = ?1 AND f.leader_id = ?2 AND f.deadline_at IS NOT NULL ORDER BY f.created_at, f.id LIMIT 1)`

/**
 * Ends one scan that has not ended as CANCELLED. Its job goes to the first scan that follows it, or ends with it:
 * then the next heartbeat tells the runner to stop. A scan that follows another leaves the job as it is.
 */
export async function cancelScan(ctx: Context, scan: { id: string; jobId: string | null }): Promise<void> {
  const org = ctx.organization.num
  await ctx.db.batch([
    ...(scan.jobId === null ? [] : handOver(org, scan.id, scan.jobId, ctx.now)),
    statement(
      `UPDATE scans SET status = 'CANCELLED', scanned_at = ?3, deadline_at = NULL, job_id = NULL,
              duration_ms = CASE WHEN started_at IS NULL THEN NULL ELSE ?3 - started_at END
        WHERE org = ?1 AND id = ?2 AND deadline_at IS NOT NULL`,
      org,
      scan.id,
      ctx.now,
    ),
    auditEnd(ctx, org, scan.id, { status: 'CANCELLED', reason: null }),
  ])
  tellViewers(ctx, org, [scan.id])
}

/** The heir gets job and uploaded blobs and leads the others; without one the job ends. */
function handOver(org: number, scanId: string, jobId: string, now: number): Statement[] {
  return [
    statement(
      `UPDATE scans SET job_id = ?3, blobs = NULL WHERE org = ?1 AND id = ${HEIR}
        AND EXISTS (SELECT 1 FROM jobs j WHERE j.org = ?1 AND j.id = ?3 AND j.state <> 'done' AND j.scan_id = ?2)`,
      org,
      scanId,
      jobId,
    ),
    statement(
      `UPDATE jobs SET scan_id = coalesce(${HEIR}, scan_id) WHERE org = ?1 AND id = ?3 AND state <> 'done' AND scan_id = ?2`,
      org,
      scanId,
      jobId,
    ),
    statement(
      `UPDATE OR REPLACE scan_blobs SET scan_id = (SELECT j.scan_id FROM jobs j WHERE j.org = ?1 AND j.id = ?3)
        WHERE org = ?1 AND scan_id = ?2
          AND EXISTS (SELECT 1 FROM jobs j WHERE j.org = ?1 AND j.id = ?3 AND j.scan_id <> ?2)`,
      org,
      scanId,
      jobId,
    ),
    statement(
      `UPDATE scans INDEXED BY scans_followers
          SET leader_id = nullif((SELECT j.scan_id FROM jobs j WHERE j.org = ?1 AND j.id = ?3), scans.id)
        WHERE org = ?1 AND leader_id = ?2 AND deadline_at IS NOT NULL
          AND EXISTS (SELECT 1 FROM jobs j WHERE j.org = ?1 AND j.id = ?3 AND j.scan_id <> ?2)`,
      org,
      scanId,
      jobId,
    ),
    endJobOf(org, scanId, jobId, now),
  ]
}

const endJobOf = (org: number, scanId: string, jobId: string, now: number): Statement =>
  statement(
    `UPDATE jobs SET state = 'done', cancel = 1, phase = 'done', lease_until = NULL, updated_at = ?4
      WHERE org = ?1 AND id = ?3 AND scan_id = ?2 AND state <> 'done'`,
    org,
    scanId,
    jobId,
    now,
  )
