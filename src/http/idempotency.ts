import type { Context } from '../context.ts'
import { sha256Hex } from '../crypto/tokens.ts'
import { type Database, EXPECT_ONE_CHANGE, type Statement, statement } from '../db/database.ts'
import { invalid, Problem, problem } from './problems.ts'
import type { Reply } from './reply.ts'

const LIFETIME = 24 * 3_600_000 // what the documentation promises
const KEY_FORM = /^[\x21-\x7e]{1,255}$/

/** Where a route's replies are remembered, and how the resource is presented again, without one-time secrets. */
export interface Replay {
  store: 'shard' | 'directory'
  /** True for what writes before the batch that remembers the reply: then the key is looked for first. */
  asksFirst?(body: unknown): boolean
  present(ctx: Context, resourceId: string): Promise<Reply>
}

/** The Idempotency-Key of one request: scoped to organization and route, bound to its body. */
export interface IdempotencyKey {
  route: string
  key: string
  bodyHash: string
}

export async function idempotencyKey(
  headers: Headers,
  route: string,
  body: string,
): Promise<IdempotencyKey | null> {
  const key = headers.get('Idempotency-Key')
  if (key === null) return null
  if (!KEY_FORM.test(key)) {
    throw invalid({ path: 'Idempotency-Key', message: 'must be 1 to 255 visible ASCII characters' })
  }
  return { route, key, bodyHash: await sha256Hex(body) }
}

interface Remembered {
  body_hash: string
  status: number
  resource_id: string
}

/** The reply to an earlier request with this key, or null. The same key with another body, or for what is deleted since, is a CONFLICT. */
export async function replayed(ctx: Context, key: IdempotencyKey, replay: Replay): Promise<Reply | null> {
  const row = await storeOf(ctx, replay).first<Remembered>(
    statement(
      `SELECT body_hash, status, resource_id FROM idempotency
        WHERE org = ? AND route = ? AND key = ? AND created_at > ?`,
      ctx.organization.num,
      key.route,
      key.key,
      ctx.now - LIFETIME,
    ),
  )
  if (!row) return null
  if (row.body_hash !== key.bodyHash) {
    throw problem('CONFLICT', 'This Idempotency-Key was used with another request body')
  }
  const reply = await replay.present(ctx, row.resource_id).catch(goneSince)
  return { ...reply, status: row.status, headers: { ...reply.headers, 'Idempotency-Replayed': 'true' } }
}

/** What the first request made was deleted: nothing is presented, and nothing made a second time. */
const goneSince = (error: unknown): never => {
  const isGone = error instanceof Problem && error.code === 'NOT_FOUND'
  throw isGone ? problem('CONFLICT', 'What this Idempotency-Key created exists no more') : error
}

/** Joins the batch that creates the resource: aborts it when another request with this key was faster. */
export function rememberReply(
  organization: number,
  now: number,
  key: IdempotencyKey,
  resourceId: string,
  status: number,
): Statement[] {
  return [
    statement(
      `INSERT INTO idempotency (org, route, key, body_hash, status, resource_id, created_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
       ON CONFLICT DO UPDATE SET body_hash = ?4, status = ?5, resource_id = ?6, created_at = ?7
       WHERE created_at <= ?8`,
      organization,
      key.route,
      key.key,
      key.bodyHash,
      status,
      resourceId,
      now,
      now - LIFETIME,
    ),
    EXPECT_ONE_CHANGE,
  ]
}

/** Forgets what is older than the promise; at most `limit` rows a call. */
export const forgetReplies = (now: number, limit: number): Statement =>
  statement(
    `DELETE FROM idempotency WHERE (org, route, key) IN
       (SELECT org, route, key FROM idempotency INDEXED BY idempotency_age WHERE created_at <= ? LIMIT ?)`,
    now - LIFETIME,
    limit,
  )

const storeOf = (ctx: Context, replay: Replay): Database =>
  replay.store === 'shard' ? ctx.db : ctx.directory
