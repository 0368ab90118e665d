import type { BaseContext } from '../../context.ts'
import type { Database } from '../../db/database.ts'
import { type DeadLetter, letterById, messageOf, takeLetters, waitingLetters } from '../../db/dead-letters.ts'
import { sendMessages } from '../../db/outbox.ts'
import { shardNames, tenantDb } from '../../db/shards.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { notFound } from '../../http/problems.ts'
import { presentLetter } from './present.ts'

/** Gives one dead letter's message to the queue again, once however often it is asked for. Throws NOT_FOUND. */
export async function replayDeadLetter(ctx: BaseContext, id: string) {
  for (const db of shards(ctx)) {
    if (!(await db.first(letterById(id)))) continue
    await replay(ctx, db, [id])
    return presentLetter((await db.first<DeadLetter>(letterById(id)))!)
  }
  throw notFound('Dead letter')
}

/**
 * The same for those of a kind that wait, the oldest of each shard first, at most `limit` in a call. Says how many
 * there were, and whether more may wait.
 */
export async function replayDeadLetters(
  ctx: BaseContext,
  { kind, limit }: { kind: string; limit: number },
): Promise<{ replayed: number; more: boolean }> {
  let replayed = 0
  for (const db of shards(ctx)) {
    if (replayed === limit) break
    const waiting = await db.all<{ id: string }>(waitingLetters(kind, limit - replayed))
    if (waiting.length === 0) continue
    replayed += await replay(
      ctx,
      db,
      waiting.map(({ id }) => id),
    )
  }
  return { replayed, more: replayed === limit }
}

const shards = ({ env, directory }: BaseContext): Database[] =>
  shardNames(env).map((name) => tenantDb(env, name, directory.meter)!)

/** The promise is written with the letter's mark; a message that is not sent now is sent by the sweep. */
async function replay(ctx: BaseContext, db: Database, ids: readonly string[]): Promise<number> {
  const [taken] = await db.batch(takeLetters(ids, ctx.now))
  const letters = taken!.rows as unknown as DeadLetter[]
  if (letters.length === 0) return 0
  ctx.defer(sendMessages(ctx.env, letters.map(messageOf)))
  const view = { letters: letters.map(({ id }) => id) }
  const auditor = { ...ctx, actor: { kind: 'operator' } as const }
  await ctx.directory.run(auditRow(auditor, null, 'dead_letters.replayed', 'queue:work', view))
  return letters.length
}
