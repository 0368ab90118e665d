import type { Context } from '../../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../../db/database.ts'
import { type Promised, promise, sendPromised } from '../../../db/outbox.ts'
import type { ScanReason } from '../../../scanning/reasons.ts'
import type { RegistryRow } from '../table.ts'
import type { SyncCursor } from './cursor.ts'

export type SyncStep =
  /** Goes on with the next message. */
  | { to: 'next'; cursor: SyncCursor }
  /** The same slice will be tried again; the registry says meanwhile what is wrong. */
  | { to: 'retry'; reason: ScanReason }
  | { to: 'failed'; reason: ScanReason }
  | { to: 'done'; remark: ScanReason | null }

/**
 * Writes the end of a slice: its rows, the new place, and the next message. Nothing is written when another slice,
 * a change of the address or a deletion was faster; returns whether it was written.
 */
export async function takeStep(
  ctx: Context,
  row: RegistryRow,
  step: SyncStep,
  rows: readonly Statement[] = [],
  promised: readonly Promised[] = [],
): Promise<boolean> {
  const message = { kind: 'registry.sync', org: row.org, registryId: row.id } as const
  const next = step.to === 'next' ? [promise(message, ctx.now)] : []
  try {
    await ctx.db.batch([
      moveOn(ctx, row, step),
      EXPECT_ONE_CHANGE,
      ...rows,
      ...next.map((one) => one.statement),
    ])
  } catch (error) {
    if (error instanceof LostRace) return false
    throw error
  }
  sendPromised(ctx, [...promised, ...next])
  return true
}

function moveOn(ctx: Context, row: RegistryRow, step: SyncStep): Statement {
  const { set, params } = changesOf(ctx.now, row, step)
  return statement(
    `UPDATE registries SET ${set} WHERE org = ? AND id = ? AND sync_state <> 'idle' AND sync_started_at = ?
       AND sync_cursor IS ? AND status <> 'DELETING'`,
    ...params,
    ...[row.org, row.id, row.syncStartedAt, row.syncCursor],
  )
}

function changesOf(
  now: number,
  row: RegistryRow,
  step: SyncStep,
): { set: string; params: (string | number | null)[] } {
  const idle = `sync_state = 'idle', sync_cursor = NULL`
  switch (step.to) {
    case 'next':
      return { set: `sync_state = 'running', sync_cursor = ?`, params: [JSON.stringify(step.cursor)] }
    case 'retry':
      return {
        set: `sync_state = 'running', sync_cursor = ?, status = 'ERROR', status_reason = ?`,
        params: [row.syncCursor, JSON.stringify(step.reason)],
      }
    case 'failed':
      return { set: `${idle}, status = 'ERROR', status_reason = ?`, params: [JSON.stringify(step.reason)] }
    case 'done':
      return {
        set: `${idle}, status = 'ACTIVE', status_reason = ?, synced_at = ?`,
        params: [step.remark && JSON.stringify(step.remark), now],
      }
  }
}
