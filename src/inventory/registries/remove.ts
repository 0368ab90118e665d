import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { revokeSensorKeys } from './sensor-key.ts'

/** How far the scans of an organization were looked through. */
interface ScanPlace {
  endedAt: number
  id: string
}

/** What other features hold of a registry. Each call is bounded and may be repeated. */
export interface Remains {
  /** Ends scans that have not ended; fewer than `limit` means that none is left. */
  endScans(ctx: Context, registryId: string, limit: number): Promise<number>
  /** Deletes ended scans with their blobs after a place; null at the end. */
  deleteScans(ctx: Context, registryId: string, after: ScanPlace | null): Promise<ScanPlace | null>
  /** Removes packages and findings of artifacts that no tag names. */
  retire(ctx: Context, imageId: string): Promise<{ more: boolean }>
}

const SCANS = 100 // ended in one slice
const IMAGES = 20 // of one slice
const TAGS = 2000 // of one image in one slice
const ROUND_TRIPS = 300 // a slice begins no image beyond it; an invocation has 1,000

/**
 * One slice of removing a disconnected registry: first its running scans, then all of its scans, then image by
 * image its tags, artifacts and findings, then itself. It promises the next slice, and running it twice changes
 * nothing twice.
 */
export async function removeRegistry(ctx: Context, registryId: string, remains: Remains): Promise<void> {
  const org = ctx.organization.num
  const row = await ctx.db.first<{ sync_cursor: string | null }>(
    statement(
      `SELECT sync_cursor FROM registries WHERE org = ? AND id = ? AND status = 'DELETING'`,
      org,
      registryId,
    ),
  )
  if (!row) return
  const place = row.sync_cursor === null ? null : (JSON.parse(row.sync_cursor) as ScanPlace | 'done')
  if ((await remains.endScans(ctx, registryId, SCANS)) === SCANS) return goOn(ctx, registryId, place)
  if (place !== 'done') {
    return goOn(ctx, registryId, (await remains.deleteScans(ctx, registryId, place)) ?? 'done')
  }
  const images = await ctx.db.all<{ id: string }>(
    statement(
      'SELECT id FROM images INDEXED BY images_repository WHERE org = ? AND registry_id = ? ORDER BY repository LIMIT ?',
      org,
      registryId,
      IMAGES,
    ),
  )
  if (images.length === 0) return finish(ctx, registryId)
  for (const { id } of images) {
    if (ctx.db.meter.roundTrips > ROUND_TRIPS) break
    await removeImage(ctx, id, remains)
  }
  await goOn(ctx, registryId, 'done')
}

async function goOn(ctx: Context, registryId: string, place: ScanPlace | 'done' | null): Promise<void> {
  const org = ctx.organization.num
  const promised = promise({ kind: 'registry.delete', org, registryId }, ctx.now)
  await ctx.db.batch([
    statement(
      `UPDATE registries SET sync_cursor = ?, sync_started_at = ? WHERE org = ? AND id = ? AND status = 'DELETING'`,
      place && JSON.stringify(place),
      ctx.now,
      org,
      registryId,
    ),
    promised.statement,
  ])
  sendPromised(ctx, [promised])
}

/** Its row goes with the last of its artifacts; until then the next slice goes on with it. */
async function removeImage(ctx: Context, imageId: string, { retire }: Remains): Promise<void> {
  const org = ctx.organization.num
  await ctx.db.batch(untag(org, imageId))
  if ((await retire(ctx, imageId)).more) return
  const held = `SELECT 1 FROM artifact_packages ap WHERE ap.org = ?1 AND ap.artifact = artifacts.id`
  await ctx.db.batch([
    statement(
      `DELETE FROM artifacts WHERE org = ?1 AND image_id = ?2 AND live = 0 AND NOT EXISTS (${held})`,
      org,
      imageId,
    ),
    statement(
      `DELETE FROM images WHERE org = ?1 AND id = ?2
        AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.org = ?1 AND a.image_id = ?2)
        AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.org = ?1 AND t.image_id = ?2)`,
      org,
      imageId,
    ),
  ])
}

function untag(org: number, imageId: string): Statement[] {
  const some = `SELECT id FROM tags INDEXED BY tags_name WHERE org = ?1 AND image_id = ?2 ORDER BY name LIMIT ${TAGS}`
  return [
    statement(`DELETE FROM tag_artifacts WHERE org = ?1 AND tag_id IN (${some})`, org, imageId),
    statement(`DELETE FROM tags WHERE org = ?1 AND id IN (${some})`, org, imageId),
    statement(
      'UPDATE artifacts SET pinned_until = NULL WHERE org = ?1 AND image_id = ?2 AND pinned_until IS NOT NULL',
      org,
      imageId,
    ),
  ]
}

async function finish(ctx: Context, registryId: string): Promise<void> {
  const org = ctx.organization.num
  await ctx.directory.batch([
    ...revokeSensorKeys(ctx, registryId),
    statement('DELETE FROM agents WHERE org = ? AND registry_id = ?', org, registryId),
  ])
  await ctx.db.run(
    statement(
      `DELETE FROM registries WHERE org = ?1 AND id = ?2 AND status = 'DELETING'
        AND NOT EXISTS (SELECT 1 FROM images i WHERE i.org = ?1 AND i.registry_id = ?2)`,
      org,
      registryId,
    ),
  )
}
