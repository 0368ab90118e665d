import type { BaseContext } from '../../context.ts'
import { type Database, statement } from '../../db/database.ts'
import { type Promised, promise, sendPromised } from '../../db/outbox.ts'
import { nextRun } from '../../inventory/registries/index.ts'

const SLICE = 100 // registries of one shard in one sweep

/**
 * Registries whose time has come, at most a slice of one shard: the next run is set and the scans are promised in
 * one batch, on condition that no other sweep was faster.
 */
export async function startDueSchedules(
  ctx: Pick<BaseContext, 'env' | 'defer' | 'now'>,
  db: Database,
): Promise<number> {
  const due = await db.all<{ id: string; org: number; schedule: string; next_run_at: number }>(
    statement(
      `SELECT id, org, schedule, next_run_at FROM registries INDEXED BY registries_due
        WHERE next_run_at <= ? AND status <> 'DELETING' ORDER BY next_run_at LIMIT ?`,
      ctx.now,
      SLICE,
    ),
  )
  const sent: Promised[] = []
  await db.batch(
    due.flatMap(({ id, org, schedule, next_run_at }) => {
      const isTimed = schedule === 'daily' || schedule === 'weekly'
      const promised = promise({ kind: 'registry.schedule', org, registryId: id, after: null }, ctx.now)
      if (isTimed) sent.push(promised)
      const still = 'WHERE org = ? AND id = ? AND next_run_at = ?'
      return [
        ...(isTimed
          ? [
              statement(
                `INSERT INTO outbox (id, org, message, created_at, next_attempt_at)
                 SELECT ?, ?, ?, ?, ? FROM registries ${still}`,
                ...promised.statement.params,
                org,
                id,
                next_run_at,
              ),
            ]
          : []),
        statement(
          `UPDATE registries SET next_run_at = ? ${still}`,
          isTimed ? nextRun(schedule, id, ctx.now) : null,
          org,
          id,
          next_run_at,
        ),
      ]
    }),
  )
  sendPromised(ctx, sent)
  return due.length
}
