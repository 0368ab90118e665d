import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { promise, promiseAll, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'

const MAX_REGISTRIES = 2000 // of one organization in one call, some 500 kB of promises

/** Starts the scheduled scans of every daily and weekly registry now; their next run stays when it was. */
export async function scheduleScans(ctx: Context): Promise<{ registries: string[] }> {
  const org = ctx.organization.num
  const rows = await ctx.db.all<{ id: string }>(
    statement(
      `SELECT id FROM registries INDEXED BY registries_list
        WHERE org = ? AND schedule IN ('daily', 'weekly') AND status <> 'DELETING' ORDER BY created_at, id LIMIT ?`,
      org,
      MAX_REGISTRIES,
    ),
  )
  const registries = rows.map(({ id }) => id)
  const promised = registries.map((registryId) =>
    promise({ kind: 'registry.schedule', org, registryId, after: null }, ctx.now),
  )
  await ctx.db.batch([
    promiseAll(promised),
    auditRow(ctx, org, 'registry.scans_scheduled', `organization:${ctx.organization.id}`, { registries }),
  ])
  sendPromised(ctx, promised)
  return { registries }
}
