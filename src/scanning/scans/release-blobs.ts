import { blobKey, deleteObjects } from '../../db/blobs.ts'
import { type Database, type Statement, statement } from '../../db/database.ts'
import type { Env } from '../../env.ts'

/**
 * A scan stops naming its blobs (all, or the given ones); those that no other scan names are marked for deletion
 * together with `resultKey`. While a mark is there no upload stores that blob, so a deletion never takes away
 * what another scan has just begun to name.
 */
export function releaseBlobs(
  org: number,
  scanId: string,
  sha256s: readonly string[],
  resultKey: string | null,
  now: number,
): Statement[] {
  const list = JSON.stringify(sha256s)
  return [
    statement(
      'DELETE FROM scan_blobs WHERE org = ? AND scan_id = ? AND sha256 IN (SELECT value FROM json_each(?))',
      org,
      scanId,
      list,
    ),
    statement(
      `INSERT INTO blob_deletions (org, object_key, created_at)
       SELECT ?1, ?2 || value, ?3 FROM json_each(?4)
        WHERE NOT EXISTS (SELECT 1 FROM scan_blobs b INDEXED BY scan_blobs_content WHERE b.org = ?1 AND b.sha256 = value)
       ON CONFLICT DO NOTHING`,
      org,
      blobKey(org, ''),
      now,
      list,
    ),
    ...(resultKey === null
      ? []
      : [
          statement(
            `INSERT INTO blob_deletions (org, object_key, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
            org,
            resultKey,
            now,
          ),
        ]),
  ]
}

/** Deletes what is marked in one shard, at most `limit` objects marked before `until`. Crash-safe at every step. */
export async function deleteMarkedBlobs(
  env: Env,
  db: Database,
  until: number,
  limit: number,
  org: number | null = null,
): Promise<number> {
  const marked = await db.all<{ org: number; object_key: string }>(
    org === null
      ? statement(
          'SELECT org, object_key FROM blob_deletions INDEXED BY blob_deletions_age WHERE created_at <= ? LIMIT ?',
          until,
          limit,
        )
      : statement(
          'SELECT org, object_key FROM blob_deletions WHERE org = ? AND created_at <= ? LIMIT ?',
          org,
          until,
          limit,
        ),
  )
  for (const [owner, rows] of Map.groupBy(marked, (row) => row.org)) {
    const keys = rows.map((row) => row.object_key)
    await deleteObjects(env, owner, keys)
    await db.run(
      statement(
        'DELETE FROM blob_deletions WHERE org = ? AND object_key IN (SELECT value FROM json_each(?))',
        owner,
        JSON.stringify(keys),
      ),
    )
  }
  return marked.length
}
