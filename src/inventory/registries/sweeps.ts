import type { BaseContext } from '../../context.ts'
import { type Database, type Statement, statement } from '../../db/database.ts'
import { type Promised, promise, sendPromised } from '../../db/outbox.ts'
import { reason } from '../../scanning/reasons.ts'

const MINUTE = 60_000
const SYNC_AHEAD = 30 * MINUTE // before scheduled scans, so that they find the tags of the day
const SYNC_FRESH = 60 * MINUTE // a sync that began less than this before the run is new enough
const SYNC_LIMIT = 6 * 60 * MINUTE // some 20,000 repositories take less
const DELETION_SILENCE = 60 * MINUTE // every slice of a deletion says that it is alive
const SLICE = 50 // registries of one shard in one sweep

interface Row {
  id: string
  org: number
}

type Sweeper = Pick<BaseContext, 'env' | 'defer' | 'now'>

/** Starts reading the catalogues of registries whose scheduled scans are near; each once. */
export async function startDueSyncs(base: Sweeper, db: Database): Promise<number> {
  const { now } = base
  const due = `scan_method = 'cloud' AND sync_state = 'idle' AND status <> 'DELETING'
    AND next_run_at <= ?1 AND coalesce(sync_started_at, 0) < next_run_at - ${SYNC_FRESH}`
  const rows = await db.all<Row>(
    statement(
      `SELECT id, org FROM registries INDEXED BY registries_due WHERE ${due} ORDER BY next_run_at LIMIT ?2`,
      now + SYNC_AHEAD,
      SLICE,
    ),
  )
  const start = ({ id, org }: Row): Statement =>
    statement(
      `UPDATE registries SET sync_state = 'queued', sync_cursor = NULL, sync_started_at = ?2
        WHERE id = ?3 AND org = ?4 AND ${due}`,
      ...[now + SYNC_AHEAD, now, id, org],
    )
  return promiseEach(base, db, rows, 'registry.sync', start)
}

/** Goes on with deletions that fell silent: their message was lost, or failed too often. */
export async function resumeDeletions(base: Sweeper, db: Database): Promise<number> {
  const { now } = base
  const silent = `sync_state <> 'idle' AND status = 'DELETING' AND sync_started_at <= ?1`
  const rows = await db.all<Row>(
    statement(
      `SELECT id, org FROM registries INDEXED BY registries_busy WHERE ${silent} LIMIT ?2`,
      now - DELETION_SILENCE,
      SLICE,
    ),
  )
  const wake = ({ id, org }: Row): Statement =>
    statement(
      `UPDATE registries SET sync_started_at = ?2 WHERE id = ?3 AND org = ?4 AND ${silent}`,
      ...[now - DELETION_SILENCE, now, id, org],
    )
  return promiseEach(base, db, rows, 'registry.delete', wake)
}

/** Ends syncs that take too long or whose message was lost: the registry says so and can be synced again. */
export const endStuckSyncs = (db: Database, now: number): Promise<number> =>
  db.run(
    statement(
      `UPDATE registries SET sync_state = 'idle', sync_cursor = NULL, status = 'ERROR', status_reason = ?
        WHERE id IN (SELECT id FROM registries INDEXED BY registries_busy
          WHERE sync_state <> 'idle' AND status <> 'DELETING' AND sync_started_at <= ? LIMIT ?)`,
      JSON.stringify(reason('registry_error', 'Reading its catalogue took longer than 6 hours.')),
      now - SYNC_LIMIT,
      SLICE,
    ),
  )

/** Each row's change with the promise that belongs to it; a row that was changed meanwhile promises nothing. */
async function promiseEach(
  base: Sweeper,
  db: Database,
  rows: readonly Row[],
  kind: 'registry.sync' | 'registry.delete',
  change: (row: Row) => Statement,
): Promise<number> {
  const promised = rows.map(({ id, org }) => promise({ kind, org, registryId: id }, base.now))
  await db.batch(rows.flatMap((row, index) => [change(row), whenChanged(promised[index]!)]))
  sendPromised(base, promised)
  return rows.length
}

const whenChanged = ({ statement: { params } }: Promised): Statement => ({
  sql: `INSERT INTO outbox (id, org, message, created_at, next_attempt_at)
        SELECT ?, ?, ?, ?, ? WHERE changes() = 1`,
  params,
})
