import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { notFound } from '../../http/problems.ts'
import { cancelScan } from './cancel.ts'
import { deleteMarkedBlobs, releaseBlobs } from './release-blobs.ts'

const MAX_BLOBS = 1000 // of one scan; what is left goes with the sweep
const REPEATED = 60_000 // ms after a cancellation in which the same call is taken for its repetition

interface Row {
  id: string
  job_id: string | null
  deadline_at: number | null
  result_key: string | null
  status: string
  scanned_at: number | null
}

/**
 * DELETE of a scan: one that has not ended is cancelled and stays readable, also when the call is repeated within a
 * minute because its answer was lost; one that has is deleted, with the blobs that no other scan names. Findings
 * stay with the artifact. Throws NOT_FOUND.
 */
export async function deleteScan(ctx: Context, scanId: string): Promise<'cancelled' | 'deleted'> {
  const org = ctx.organization.num
  const [scans, blobs] = await ctx.db.batch([
    statement(
      'SELECT id, job_id, deadline_at, result_key, status, scanned_at FROM scans WHERE org = ? AND id = ?',
      org,
      scanId,
    ),
    statement('SELECT sha256 FROM scan_blobs WHERE org = ? AND scan_id = ? LIMIT ?', org, scanId, MAX_BLOBS),
  ])
  const scan = scans!.rows[0] as unknown as Row | undefined
  if (!scan) throw notFound('Scan')
  if (scan.deadline_at !== null) {
    await cancelScan(ctx, { id: scan.id, jobId: scan.job_id })
    return 'cancelled'
  }
  if (scan.status === 'CANCELLED' && ctx.now - scan.scanned_at! < REPEATED) return 'cancelled'
  const sha256s = blobs!.rows.map((row) => String(row.sha256))
  await ctx.db.batch([
    ...releaseBlobs(org, scanId, sha256s, scan.result_key, ctx.now),
    statement('UPDATE scans SET leader_id = NULL WHERE org = ? AND leader_id = ?', org, scanId),
    statement('DELETE FROM scans WHERE org = ? AND id = ? AND deadline_at IS NULL', org, scanId),
    auditRow(ctx, org, 'scan.deleted', `scan:${scanId}`, { id: scanId, status: scan.status }),
  ])
  ctx.defer(deleteMarkedBlobs(ctx.env, ctx.db, ctx.now, MAX_BLOBS, org))
  return 'deleted'
}
