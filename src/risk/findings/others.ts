import { type Statement, statement } from '../../db/database.ts'
import { type Promised, promise } from '../../db/outbox.ts'
import type { Other } from './look-around.ts'
import { recountStatement, rollUpStatement } from './recount-statements.ts'

export const RECOUNT_AT_ONCE = 50 // other artifacts whose counters the batch itself computes; more go through the queue
const ROWS_AT_ONCE = 30_000 // about 20 ms of a single-threaded database
export const MAX_NAMED_PACKAGES = 500 // more are not listed: every live artifact is looked at

/** Statements for a batch, and messages to send once it has committed. */
export interface Work {
  statements: Statement[]
  promised: Promised[]
}

/**
 * Counters of other artifacts that hold the touched packages: `others` (some of them when they are too many)
 * in this batch when they are few and small, else as work for the queue under this change's serial number.
 */
export function recountOthers(
  org: number,
  seq: number,
  touched: readonly number[],
  others: readonly Other[],
  now: number,
): Work {
  if (touched.length === 0 || others.length === 0) return { statements: [], promised: [] }
  const rows = others.reduce((sum, other) => sum + other.rows, 0)
  if (others.length <= RECOUNT_AT_ONCE && rows <= ROWS_AT_ONCE) {
    const ids = others.map(({ id }) => id)
    return { statements: [recountStatement(org, ids), rollUpStatement(org, ids)], promised: [] }
  }
  const packages = touched.length > MAX_NAMED_PACKAGES ? null : JSON.stringify(touched)
  const work = statement('INSERT INTO recounts (org, seq, packages) VALUES (?, ?, ?)', org, seq, packages)
  const message = promise({ kind: 'artifacts.recount', org, seq, after: 0 }, now)
  return { statements: [work, message.statement], promised: [message] }
}
