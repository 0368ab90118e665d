import { type Statement, statement } from '../../db/database.ts'

/**
 * Puts a leased job back into its place in the queue; the lease does not count as a lost runner. `fence` is null
 * where an agent without leases holds it.
 */
export const releaseJob = (org: number, jobId: string, fence: number | null, now: number): Statement =>
  statement(
    `UPDATE jobs SET state = 'queued', leases = leases - 1, agent_id = NULL, lease_until = NULL, phase = 'queued',
            updated_at = ?1
      WHERE org = ?2 AND id = ?3 AND state = 'leased' AND fence = coalesce(?4, fence)`,
    now,
    org,
    jobId,
    fence,
  )
