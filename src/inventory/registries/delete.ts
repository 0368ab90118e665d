import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { notFound } from '../../http/problems.ts'
import { presentRegistry } from './present.ts'
import { registryInOrganization } from './read.ts'
import { revokeSensorKeys } from './sensor-key.ts'

/**
 * Disconnects a registry: it is gone from the API at once, with its credentials and its sensors' keys. Its scans,
 * images and findings are removed in slices from the queue. Throws NOT_FOUND.
 */
export async function deleteRegistry(
  ctx: Context,
  registryId: string,
): Promise<{ id: string; deleted: true }> {
  const row = await registryInOrganization(ctx, registryId)
  const promised = promise({ kind: 'registry.delete', org: row.org, registryId }, ctx.now)
  try {
    await ctx.db.batch([
      statement(
        `UPDATE registries SET status = 'DELETING', status_reason = NULL, credentials = NULL, dek = NULL,
           kek_version = NULL, next_run_at = NULL, sync_state = 'running',
           sync_cursor = NULL, sync_started_at = ?, updated_at = ?
         WHERE org = ? AND id = ? AND status <> 'DELETING'`,
        ctx.now,
        ctx.now,
        row.org,
        registryId,
      ),
      EXPECT_ONE_CHANGE,
      auditRow(ctx, row.org, 'registry.removed', `registry:${registryId}`, presentRegistry(row)),
      promised.statement,
    ])
  } catch (error) {
    if (error instanceof LostRace) throw notFound('Registry')
    throw error
  }
  if (row.scanMethod === 'sensor') await ctx.directory.batch(revokeSensorKeys(ctx, registryId))
  sendPromised(ctx, [promised])
  return { id: registryId, deleted: true }
}
