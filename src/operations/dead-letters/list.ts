import type { BaseContext } from '../../context.ts'
import { type DeadLetter, lettersBehind } from '../../db/dead-letters.ts'
import { shardNames, tenantDb } from '../../db/shards.ts'
import { presentLetter } from './present.ts'

const NEWEST = '9007199254740991-~'

/** Dead letters of all shards, the newest first: a page, and where the next one begins. One round trip a shard. */
export async function listDeadLetters(
  { env, directory }: BaseContext,
  { kind, limit, after }: { kind?: string; limit: number; after?: string },
) {
  const [diedAt, ...id] = (after ?? NEWEST).split('-')
  const query = lettersBehind({ diedAt: Number(diedAt), id: id.join('-') }, kind ?? null, limit + 1)
  const found = await Promise.all(
    shardNames(env).map((name) => tenantDb(env, name, directory.meter)!.all<DeadLetter>(query)),
  )
  const letters = found.flat().sort(newestFirst)
  const page = letters.slice(0, limit)
  const last = letters.length > limit ? page.at(-1)! : null
  return { data: page.map(presentLetter), meta: { next: last && `${last.died_at}-${last.id}` } }
}

const newestFirst = (a: DeadLetter, b: DeadLetter): number => b.died_at - a.died_at || (a.id < b.id ? 1 : -1)
