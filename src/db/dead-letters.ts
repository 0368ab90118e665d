import type { WorkMessage } from '../queue.ts'
import { type Statement, statement } from './database.ts'
import { PROMISE_RESENT_AFTER } from './outbox.ts'

/** A message that failed at every attempt, as the shard of its organization keeps it. */
export interface DeadLetter {
  id: string
  org: number
  kind: string
  /** JSON: kind and ids. */
  message: string
  attempts: number
  error: string | null
  died_at: number
  replayed_at: number | null
}

const KEPT = 30 * 24 * 3_600_000
const COLUMNS = 'id, org, kind, message, attempts, error, died_at, replayed_at'

/**
 * Writes down a message that failed for good; `error` is the class of what it failed with, never its words. Again for
 * the same message it is the same letter, waiting again.
 */
export function bury(message: WorkMessage, attempts: number, error: string | null, now: number): Statement {
  const { outboxId, replayed: _, ...ids } = message
  return statement(
    `INSERT INTO dead_letters (id, org, kind, message, attempts, error, died_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (id) DO UPDATE SET attempts = ?5, error = coalesce(?6, error), died_at = ?7, replayed_at = NULL`,
    outboxId ?? JSON.stringify(ids),
    message.org,
    message.kind,
    JSON.stringify(ids),
    attempts,
    error,
    now,
  )
}

/** Letters of one shard, the newest first, behind a place; of one kind, or of all. */
export const lettersBehind = (
  place: { diedAt: number; id: string },
  kind: string | null,
  limit: number,
): Statement =>
  statement(
    `SELECT ${COLUMNS} FROM dead_letters INDEXED BY dead_letters_time
      WHERE (died_at, id) < (?1, ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY died_at DESC, id DESC LIMIT ?4`,
    place.diedAt,
    place.id,
    kind,
    limit,
  )

export const letterById = (id: string): Statement =>
  statement(`SELECT ${COLUMNS} FROM dead_letters WHERE id = ?`, id)

/** Ids of letters of a kind that wait in one shard, the oldest first. */
export const waitingLetters = (kind: string, limit: number): Statement =>
  statement(
    `SELECT id FROM dead_letters INDEXED BY dead_letters_waiting
      WHERE kind = ? AND replayed_at IS NULL ORDER BY died_at, id LIMIT ?`,
    kind,
    limit,
  )

/** When letters died that nobody replayed, of every organization of a shard. */
export const UNREPLAYED: Statement = statement(
  'SELECT died_at AS at FROM dead_letters INDEXED BY dead_letters_waiting WHERE replayed_at IS NULL',
)

/**
 * Promises these letters' messages again. The first statement returns those that this call took: of two calls one
 * takes each letter, and one that was taken is not taken again until it dies again.
 */
export function takeLetters(ids: readonly string[], now: number): Statement[] {
  const list = JSON.stringify(ids)
  const taken = `id IN (SELECT value FROM json_each(?1))`
  return [
    statement(
      `UPDATE dead_letters SET replayed_at = ?2 WHERE ${taken} AND replayed_at IS NULL RETURNING id, message`,
      list,
      now,
    ),
    statement(
      `INSERT INTO outbox (id, org, message, created_at, next_attempt_at)
       SELECT id, org, json_set(message, '$.outboxId', id, '$.replayed', json('true')), ?2, ?3 FROM dead_letters
        WHERE ${taken} AND replayed_at = ?2
       ON CONFLICT (id) DO NOTHING`,
      list,
      now,
      now + PROMISE_RESENT_AFTER,
    ),
  ]
}

/** The message of a letter that was taken. */
export const messageOf = ({ id, message }: Pick<DeadLetter, 'id' | 'message'>): WorkMessage => ({
  ...(JSON.parse(message) as WorkMessage),
  outboxId: id,
  replayed: true,
})

/** Forgets letters after 30 days, whether they were replayed or not; at most `limit` a call. */
export const forgetLetters = (now: number, limit: number): Statement =>
  statement(
    `DELETE FROM dead_letters WHERE id IN
       (SELECT id FROM dead_letters INDEXED BY dead_letters_time WHERE died_at <= ? ORDER BY died_at LIMIT ?)`,
    now - KEPT,
    limit,
  )
