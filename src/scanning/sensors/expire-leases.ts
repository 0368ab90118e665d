import { type Database, type Statement, statement } from '../../db/database.ts'
import { auditEnd, endScanOfDoneJob, scanOfJob } from '../end-scan.ts'
import { reason } from '../reasons.ts'
import type { TellViewers } from '../tell-viewers.ts'
import { MAX_LEASES } from './protocol.ts'

export interface ExpiredLeases {
  /** Pools that have claimable work again. */
  requeued: string[]
  lost: number
}

/**
 * Leases that ran out in one shard, at most `limit` of them: claimable again, or FAILED `runner_lost` after
 * MAX_LEASES. Each row is changed only while it is still expired, so that overlapping sweeps do no harm.
 */
export async function expireLeases(
  db: Database,
  now: number,
  limit: number,
  tell: TellViewers = () => {},
): Promise<ExpiredLeases> {
  const expired = await db.all<{ id: string; org: number; pool: string; leases: number }>(
    statement(
      `SELECT id, org, pool, leases FROM jobs INDEXED BY jobs_lease
        WHERE state = 'leased' AND lease_until <= ? ORDER BY lease_until LIMIT ?`,
      now,
      limit,
    ),
  )
  if (expired.length === 0) return { requeued: [], lost: 0 }
  const lost = expired.filter((job) => job.leases >= MAX_LEASES)
  const requeued = expired.filter((job) => job.leases < MAX_LEASES)
  await db.batch([
    statement(
      `UPDATE jobs SET state = 'queued', agent_id = NULL, lease_until = NULL, phase = 'queued', updated_at = ?1
        WHERE id IN (SELECT value FROM json_each(?2)) AND state = 'leased' AND lease_until <= ?1 AND leases < ?3`,
      now,
      JSON.stringify(requeued.map(({ id }) => id)),
      MAX_LEASES,
    ),
    ...lost.flatMap((job) => loseRunner(job, now)),
  ])
  for (const [org, jobs] of Map.groupBy(expired, (job) => job.org))
    tell(
      org,
      jobs.map(({ id }) => id),
    )
  return { requeued: [...new Set(requeued.map(({ pool }) => pool))], lost: lost.length }
}

/** The job ends first, on condition that it is still expired; its scan ends only when it did. */
function loseRunner({ org, id }: { org: number; id: string }, now: number): Statement[] {
  const ending = { status: 'FAILED', reason: reason('runner_lost') } as const
  const actor = { kind: 'system', job: 'leases.expire' } as const
  return [
    statement(
      `UPDATE jobs SET state = 'done', cancel = 1, phase = 'done', lease_until = NULL, updated_at = ?3
        WHERE org = ?1 AND id = ?2 AND state = 'leased' AND lease_until <= ?3`,
      org,
      id,
      now,
    ),
    ...endScanOfDoneJob(org, id, ending, now),
    auditEnd({ actor, ip: null, now }, org, scanOfJob(org, id), ending),
  ]
}
