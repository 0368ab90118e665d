import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { auditEnd, endJob, endScan } from '../end-scan.ts'
import { reason } from '../reasons.ts'
import { tellViewers } from '../tell-viewers.ts'
import { releaseBlobs } from './release-blobs.ts'

/**
 * Ends the scans of a registry that have not ended with `registry_removed`, at most `limit` in a call. Returns how
 * many there were: fewer than `limit` means that none is left.
 */
export async function endScansOfRegistry(ctx: Context, registryId: string, limit: number): Promise<number> {
  const org = ctx.organization.num
  const running = await ctx.db.all<{ id: string; job_id: string | null }>(
    statement(
      `SELECT id, job_id FROM scans INDEXED BY scans_running
        WHERE org = ? AND registry_id = ? AND deadline_at IS NOT NULL LIMIT ?`,
      org,
      registryId,
      limit,
    ),
  )
  const ending = { status: 'FAILED', reason: reason('registry_removed') } as const
  await ctx.db.batch(
    running.flatMap(({ id, job_id }) => [
      ...endScan(org, id, ending, ctx.now),
      ...(job_id === null ? [] : [endJob(org, job_id, ctx.now)]),
      auditEnd(ctx, org, id, ending),
    ]),
  )
  tellViewers(
    ctx,
    org,
    running.flatMap(({ id, job_id }) => [id, job_id]),
  )
  return running.length
}

const LOOKED_THROUGH = 500 // scans of the organization in one call
const DELETED = 25 // of them, in one batch
const BLOBS = 1000 // of one call's scans; what is left is let go when no scan names it any more

interface ScanRow {
  id: string
  scanned_order: number
  registry_id: string
  result_key: string | null
}

/**
 * Deletes ended scans of a registry that was disconnected, oldest first after a place, with the blobs that no other
 * scan names. Returns the place to go on at, null at the end.
 */
export async function deleteScansOfRegistry(
  ctx: Context,
  registryId: string,
  after: { endedAt: number; id: string } | null,
): Promise<{ endedAt: number; id: string } | null> {
  const org = ctx.organization.num
  const rows = await ctx.db.all<ScanRow>(
    statement(
      `SELECT id, scanned_order, registry_id, result_key FROM scans INDEXED BY scans_scanned
        WHERE org = ?1 AND (scanned_order, id) > (?2, ?3) ORDER BY scanned_order, id LIMIT ?4`,
      org,
      after?.endedAt ?? 0,
      after?.id ?? '',
      LOOKED_THROUGH,
    ),
  )
  const all = rows.filter((row) => row.registry_id === registryId)
  const mine = all.slice(0, DELETED)
  if (mine.length > 0) await ctx.db.batch(await deletions(ctx, mine))
  const isEnd = rows.length < LOOKED_THROUGH && all.length === mine.length
  const last = all.length > mine.length ? mine.at(-1)! : rows.at(-1)
  return isEnd || !last ? null : { endedAt: last.scanned_order, id: last.id }
}

async function deletions(ctx: Context, scans: readonly ScanRow[]): Promise<Statement[]> {
  const org = ctx.organization.num
  const ids = JSON.stringify(scans.map(({ id }) => id))
  const blobs = await ctx.db.all<{ scan_id: string; sha256: string }>(
    statement(
      'SELECT scan_id, sha256 FROM scan_blobs WHERE org = ? AND scan_id IN (SELECT value FROM json_each(?)) LIMIT ?',
      org,
      ids,
      BLOBS,
    ),
  )
  const named = Map.groupBy(blobs, (blob) => blob.scan_id)
  return [
    ...scans.flatMap((scan) =>
      releaseBlobs(
        org,
        scan.id,
        (named.get(scan.id) ?? []).map(({ sha256 }) => sha256),
        scan.result_key,
        ctx.now,
      ),
    ),
    statement(
      'DELETE FROM scans WHERE +org = ? AND id IN (SELECT value FROM json_each(?)) AND deadline_at IS NULL',
      org,
      ids,
    ),
  ]
}
