import type { BaseContext } from '../../context.ts'
import { blobKey, objectsBehind, resultKeyPrefix } from '../../db/blobs.ts'
import { type Statement, statement } from '../../db/database.ts'
import { organizationByNum } from '../../db/organizations.ts'
import { placedDb } from '../../db/shards.ts'

const PAGE = 500 // objects looked at in one sweep
const MAX_ORGANIZATIONS = 20 // asked in one sweep, in one round trip each
const GRACE = 24 * 3_600_000 // longer than any upload takes from its object to the row that names it

/**
 * Marks objects for deletion that nothing names: what was stored by a call that broke off before its row was
 * written, and results of scans that ended without them. A page of the bucket each time, in the order of keys, then
 * from the beginning again. What is younger than a day is left alone. Returns whether more lies behind.
 */
export async function sweepBucket(ctx: Pick<BaseContext, 'env' | 'directory' | 'now'>): Promise<boolean> {
  const place = await ctx.directory.first<{ after: string | null }>(
    statement('SELECT after FROM bucket_sweep WHERE id = 1'),
  )
  const { objects, last } = await objectsBehind(ctx.env, place?.after ?? null, ctx.now - GRACE, PAGE)
  const owners = [...Map.groupBy(objects, ({ org }) => org)].slice(0, MAX_ORGANIZATIONS + 1)
  const rest = owners[MAX_ORGANIZATIONS]
  for (const [org, owned] of owners.slice(0, MAX_ORGANIZATIONS)) {
    const organization = await organizationByNum(ctx.directory, org, ctx.now)
    if (!organization) continue
    const keys = JSON.stringify(owned.map(({ key }) => key))
    const db = placedDb(ctx.env, organization.shard, ctx.directory.meter)
    await db.batch([markBlobs(org, keys, ctx.now), markResults(org, keys, ctx.now)])
  }
  const seen = rest ? objects[objects.indexOf(rest[1][0]!) - 1]!.key : last
  await ctx.directory.run(
    statement('UPDATE bucket_sweep SET after = ?1 WHERE id = 1 AND after IS NOT ?1', seen),
  )
  return seen !== null
}

/** Content that no scan names. While the mark is there no upload stores it again. */
const markBlobs = (org: number, keys: string, now: number): Statement =>
  statement(
    `INSERT INTO blob_deletions (org, object_key, created_at)
     SELECT ?1, k.value, ?2 FROM json_each(?3) k
      WHERE substr(k.value, 1, length(?4)) = ?4 AND NOT EXISTS
        (SELECT 1 FROM scan_blobs b INDEXED BY scan_blobs_content
          WHERE b.org = ?1 AND b.sha256 = substr(k.value, length(?4) + 1))
     ON CONFLICT DO NOTHING`,
    org,
    now,
    keys,
    blobKey(org, ''),
  )

/** Results that neither a job that may still be ingested names, nor the scan it was made for, nor one that took it over. */
const markResults = (org: number, keys: string, now: number): Statement =>
  statement(
    `INSERT INTO blob_deletions (org, object_key, created_at)
     SELECT ?1, r.key, ?2 FROM
       (SELECT value AS key, substr(value, length(?4) + 1, instr(substr(value, length(?4) + 1), '/') - 1) AS job
          FROM json_each(?3) WHERE substr(value, 1, length(?4)) = ?4) r
      WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = r.job AND j.org = ?1 AND j.result_key = r.key)
        AND NOT EXISTS (SELECT 1 FROM scans s WHERE s.id = r.job AND +s.org = ?1 AND s.result_key = r.key)
        AND NOT EXISTS (SELECT 1 FROM scans s INDEXED BY scans_inherited
          WHERE s.org = ?1 AND s.job_id = r.job AND s.job_id IS NOT NULL AND s.job_id <> s.id AND s.result_key = r.key)
     ON CONFLICT DO NOTHING`,
    org,
    now,
    keys,
    resultKeyPrefix(org),
  )
