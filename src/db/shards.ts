import type { Env } from '../env.ts'
import { Database, type Meter } from './database.ts'

export const newMeter = (): Meter => ({ roundTrips: 0, rowsRead: 0, rowsWritten: 0 })

/** Names of the bound shards, in order: the part behind `SHARD_`. */
export const shardNames = (env: Env): string[] =>
  Object.keys(env)
    .filter((binding) => /^SHARD_[0-9A-Z]+$/.test(binding))
    .map((binding) => binding.slice('SHARD_'.length).toLowerCase())
    .sort()

/** The directory. Credential checks read the primary, so a revoked key fails at the next request. */
export const directoryDb = (env: Env, meter: Meter): Database =>
  new Database(env.DIRECTORY.withSession('first-primary'), meter)

const BOOKMARK_FORM = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/

/**
 * The only way to a shard. With a `bookmark` that an earlier reply handed out the session reads at least that
 * state, perhaps from a replica; without one, or with anything of another form, it begins at the primary.
 * Returns null when no such shard is bound.
 */
export function tenantDb(env: Env, shard: string, meter: Meter, bookmark?: string): Database | null {
  const binding = env[`SHARD_${shard.toUpperCase()}`]
  const start = bookmark && BOOKMARK_FORM.test(bookmark) ? bookmark : 'first-primary'
  return binding ? new Database(binding.withSession(start), meter) : null
}

/** Like `tenantDb` for a shard that a row of the directory names. */
export function placedDb(env: Env, shard: string, meter: Meter, bookmark?: string): Database {
  const db = tenantDb(env, shard, meter, bookmark)
  if (!db) throw new Error(`no binding for shard ${shard}`)
  return db
}
