import { env } from 'cloudflare:workers'
import { type Statement, statement } from '../src/db/database.ts'
import { newMeter, placedDb } from '../src/db/shards.ts'
import type { Env } from '../src/env.ts'

/** Every row of an organization in its shard, by table; `without` names tables that the question is not about. */
export async function rowsOf(
  { num, shard }: { num: number; shard: string },
  without: readonly string[] = [],
): Promise<Record<string, string[]>> {
  const db = placedDb(env as unknown as Env, shard, newMeter())
  const tables = await db.all<{ name: string; sql: string }>(
    statement("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"),
  )
  const ofTenants = tables.filter(({ sql }) => /^ +org +INTEGER/im.test(sql))
  const named = ofTenants.map(({ name }) => name).filter((name) => !without.includes(name))
  const read = (name: string): Statement => statement(`SELECT * FROM ${name} WHERE org = ?`, num)
  const results = await db.batch(named.map(read))
  return Object.fromEntries(
    named.map((name, index) => [name, results[index]!.rows.map((row) => JSON.stringify(row)).sort()]),
  )
}
