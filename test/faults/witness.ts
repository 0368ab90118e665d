import { env } from 'cloudflare:workers'
import type { Organization } from '../../src/context.ts'
import { statement } from '../../src/db/database.ts'
import type { Env } from '../../src/env.ts'
import { shardOf } from './canonical.ts'

/**
 * Triggers that write down, in the transaction itself, each lease that is granted, each result that is accepted or
 * applied, and each end of a scan. They are no part of the system: only a test makes them.
 */
const WITNESS = [
  'CREATE TABLE witness (seq INTEGER PRIMARY KEY, org INTEGER NOT NULL, event TEXT NOT NULL, id TEXT NOT NULL, fence INTEGER)',
  `CREATE TRIGGER witness_grant AFTER UPDATE ON jobs WHEN new.fence <> old.fence BEGIN
     INSERT INTO witness (org, event, id, fence)
     VALUES (new.org, CASE WHEN old.state = 'queued' THEN 'granted' ELSE 'taken away' END, new.id, new.fence); END`,
  `CREATE TRIGGER witness_upload AFTER UPDATE ON jobs WHEN new.state = 'uploaded' AND old.state <> 'uploaded' BEGIN
     INSERT INTO witness (org, event, id, fence) VALUES (new.org, 'accepted', new.id, new.fence); END`,
  `CREATE TRIGGER witness_apply AFTER UPDATE ON jobs WHEN old.state = 'uploaded' AND new.state = 'done' AND new.progress = 100 BEGIN
     INSERT INTO witness (org, event, id, fence) VALUES (new.org, 'applied', new.id, new.fence); END`,
  `CREATE TRIGGER witness_end AFTER UPDATE ON scans WHEN old.deadline_at IS NOT NULL AND new.deadline_at IS NULL BEGIN
     INSERT INTO witness (org, event, id) VALUES (new.org, 'ended', new.id); END`,
]

export interface Witnessed {
  event: 'granted' | 'taken away' | 'accepted' | 'applied' | 'ended'
  id: string
  fence: number | null
}

export async function beginWitness(): Promise<void> {
  const { SHARD_00, SHARD_01 } = env as unknown as Env
  for (const shard of [SHARD_00!, SHARD_01!]) await shard.batch(WITNESS.map((sql) => shard.prepare(sql)))
}

/** What was written down about an organization, in the order in which it was committed. */
export const witnessed = (organization: Organization): Promise<Witnessed[]> =>
  shardOf(organization).all<Witnessed>(
    statement('SELECT event, id, fence FROM witness WHERE org = ? ORDER BY seq', organization.num),
  )
