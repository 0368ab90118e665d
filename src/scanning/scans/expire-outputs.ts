import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import type { NamedBlob } from './finish.ts'
import { deleteMarkedBlobs, releaseBlobs } from './release-blobs.ts'

const KEPT_SCANS = 3 // of one artifact, whatever their age
const KEPT_MILLISECONDS = 30 * 24 * 3_600_000
const MAX_SCANS = 20 // in one call; each ingest calls

/**
 * Lets go of raw outputs and envelopes of an artifact's scans beyond the last three and thirty days. SBOMs stay
 * as long as their scan. Returns how many scans gave something up.
 */
export async function expireOutputs(ctx: Context, scanId: string): Promise<number> {
  const org = ctx.organization.num
  const old = await ctx.db.all<{ id: string; blobs: string | null; result_key: string | null }>(
    statement(
      `SELECT id, blobs, result_key FROM
         (SELECT id, blobs, result_key, created_at FROM scans INDEXED BY scans_artifact
           WHERE org = ?1 AND artifact = (SELECT artifact FROM scans WHERE org = ?1 AND id = ?2)
           ORDER BY created_at DESC LIMIT ?3 OFFSET ${KEPT_SCANS})
        WHERE created_at < ?4 AND result_key IS NOT NULL`,
      org,
      scanId,
      MAX_SCANS,
      ctx.now - KEPT_MILLISECONDS,
    ),
  )
  for (const scan of old) {
    const blobs = JSON.parse(scan.blobs ?? '{}') as Record<string, NamedBlob>
    const entries = Object.entries(blobs)
    const sboms = entries.filter(([kind]) => kind.startsWith('sbom/'))
    const kept = new Set(sboms.map(([, blob]) => blob.sha256))
    const raw = entries.map(([, blob]) => blob.sha256).filter((sha256) => !kept.has(sha256))
    await ctx.db.batch([
      ...releaseBlobs(org, scan.id, raw, scan.result_key, ctx.now),
      statement(
        'UPDATE scans SET blobs = ?, result_key = NULL WHERE org = ? AND id = ?',
        JSON.stringify(Object.fromEntries(sboms)),
        org,
        scan.id,
      ),
    ])
  }
  if (old.length > 0) await deleteMarkedBlobs(ctx.env, ctx.db, ctx.now, MAX_SCANS * 20, org)
  return old.length
}
