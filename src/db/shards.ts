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

/**
 * The only way to a shard. A session begins at the primary and never at a place that a client names. Returns null
 * when no such shard is bound.
 */
export function tenantDb(env: Env, shard: string, meter: Meter): Database | null {
  const binding = env[`SHARD_${shard.toUpperCase()}`]
  return binding ? new Database(binding.withSession('first-primary'), meter) : null
}

/** Like `tenantDb` for a shard that a row of the directory names. */
export function placedDb(env: Env, shard: string, meter: Meter): Database {
  const db = tenantDb(env, shard, meter)
  if (!db) throw new Error(`no binding for shard ${shard}`)
  return db
}
