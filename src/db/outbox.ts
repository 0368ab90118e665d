import type { BaseContext } from '../context.ts'
import type { Env } from '../env.ts'
import { newId } from '../ids.ts'
import type { WorkMessage } from '../queue.ts'
import { type Database, type Statement, statement } from './database.ts'

export const PROMISE_RESENT_AFTER = 120_000 // longer than a healthy queue takes; a doubled message changes nothing
const MAX_BATCH = 100 // messages of one sendBatch

/** A message and the row that promises it, for the batch that makes it true. */
export interface Promised {
  statement: Statement
  message: WorkMessage
}

/** Puts `message` into the outbox of its organization's shard. `send` it after the batch has committed. */
export function promise(message: WorkMessage, now: number): Promised {
  const withId = { ...message, outboxId: newId('outbox') }
  return {
    message: withId,
    statement: statement(
      'INSERT INTO outbox (id, org, message, created_at, next_attempt_at) VALUES (?, ?, ?, ?, ?)',
      withId.outboxId,
      message.org,
      JSON.stringify(withId),
      now,
      now + PROMISE_RESENT_AFTER,
    ),
  }
}

/** The rows of any number of promises, in one statement. */
export const promiseAll = (promised: readonly Promised[]): Statement =>
  statement(
    `INSERT INTO outbox (id, org, message, created_at, next_attempt_at)
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)`,
    JSON.stringify(promised.map(({ statement: { params } }) => params)),
  )

/** Sends promised messages after the reply. One that gets lost is sent again by the sweep. */
export function sendPromised(ctx: Pick<BaseContext, 'env' | 'defer'>, promised: readonly Promised[]): void {
  if (promised.length === 0) return
  const messages = promised.map(({ message }) => message)
  ctx.defer(afterReply().then(() => sendMessages(ctx.env, messages)))
}

/** A turn of the event loop: where queue and Worker share a process, the consumer would otherwise run before the reply leaves. */
const afterReply = () => new Promise<void>((resolve) => setTimeout(resolve, 1))

/** Gives messages to the queue, in batches as large as it takes. */
export async function sendMessages(env: Env, messages: readonly WorkMessage[]): Promise<void> {
  for (let at = 0; at < messages.length; at += MAX_BATCH) {
    await env.WORK.sendBatch(messages.slice(at, at + MAX_BATCH).map((body) => ({ body })))
  }
}

/** The rows of messages that were handled. */
export const forgetPromised = (ids: readonly string[]): Statement =>
  statement('DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(ids))

/**
 * Sends again what was promised and not handled in time, at most `limit` messages of one shard. The wait doubles
 * with the age of the promise. Returns how many were sent.
 */
export async function resendPromised(env: Env, db: Database, now: number, limit: number): Promise<number> {
  const due = await db.all<{ id: string; message: string }>(
    statement(
      'SELECT id, message FROM outbox INDEXED BY outbox_due WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?',
      now,
      limit,
    ),
  )
  if (due.length === 0) return 0
  await db.run(
    statement(
      `UPDATE outbox SET next_attempt_at = ?1 + max(?2, ?1 - created_at)
        WHERE id IN (SELECT value FROM json_each(?3)) AND next_attempt_at <= ?1`,
      now,
      PROMISE_RESENT_AFTER,
      JSON.stringify(due.map(({ id }) => id)),
    ),
  )
  await sendMessages(
    env,
    due.map(({ message }) => JSON.parse(message) as WorkMessage),
  )
  return due.length
}

/** What was promised and is not handled yet, in no order: every message in flight, of every organization of a shard. */
export const PROMISED: Statement = statement('SELECT created_at AS at FROM outbox')
