import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { problem } from '../../http/problems.ts'
import { registryInOrganization } from './read.ts'

/**
 * Starts reading the catalogue, or names the sync that runs already: there is one at a time. CONFLICT for a
 * registry that only its sensor reaches.
 */
export async function startSync(ctx: Context, registryId: string) {
  const row = await registryInOrganization(ctx, registryId)
  if (row.scanMethod === 'sensor') {
    throw problem('CONFLICT', 'Only its sensor reaches this registry: images appear as they are scanned')
  }
  const audit = auditRow(ctx, row.org, 'registry.synced', `registry:${registryId}`, {
    id: registryId,
    name: row.name,
  })
  const started = row.syncState === 'idle' && (await queueSync(ctx, registryId, [audit]))
  const syncStatus = started || row.syncState !== 'running' ? 'queued' : 'running'
  return { registryId, syncStatus, url: `/api/registries/${registryId}` }
}

/** Queues a sync where none runs, with `extra` in the same batch. Of several at once, one gets true. */
async function queueSync(
  ctx: Context,
  registryId: string,
  extra: readonly Statement[] = [],
): Promise<boolean> {
  const org = ctx.organization.num
  const promised = promise({ kind: 'registry.sync', org, registryId }, ctx.now)
  const queued = statement(
    `UPDATE registries SET sync_state = 'queued', sync_cursor = NULL, sync_started_at = ?
      WHERE org = ? AND id = ? AND sync_state = 'idle' AND scan_method = 'cloud' AND status <> 'DELETING'`,
    ctx.now,
    org,
    registryId,
  )
  try {
    await ctx.db.batch([queued, EXPECT_ONE_CHANGE, promised.statement, ...extra])
  } catch (error) {
    if (error instanceof LostRace) return false
    throw error
  }
  sendPromised(ctx, [promised])
  return true
}
