import { type Statement, statement } from '../../db/database.ts'
import { newId } from '../../ids.ts'
import type { WorkMessage } from '../../queue.ts'
import { recountStatement, rollUpStatement } from './recount-statements.ts'

export const RECOUNT_AT_ONCE = 50 // other artifacts whose counters the batch itself computes; more go through the queue
const MAX_NAMED_PACKAGES = 500 // more are not listed: every live artifact is looked at

/**
 * Counters of other artifacts that hold the touched packages: `others` (at most RECOUNT_AT_ONCE + 1 were asked
 * for) in this batch when they are few, else as work for the queue under this change's serial number.
 */
export function recountOthers(
  org: number,
  seq: number,
  touched: readonly number[],
  others: readonly number[],
  now: number,
): Statement[] {
  if (touched.length === 0 || others.length === 0) return []
  if (others.length <= RECOUNT_AT_ONCE) return [recountStatement(org, others), rollUpStatement(org, others)]
  const message: WorkMessage = { kind: 'artifacts.recount', org, seq, after: 0 }
  const packages = touched.length > MAX_NAMED_PACKAGES ? null : JSON.stringify(touched)
  return [
    statement('INSERT INTO recounts (org, seq, packages) VALUES (?, ?, ?)', org, seq, packages),
    statement(
      'INSERT INTO outbox (id, org, message, created_at, next_attempt_at) VALUES (?, ?, ?, ?, ?)',
      newId('outbox'),
      org,
      JSON.stringify(message),
      now,
      now,
    ),
  ]
}
