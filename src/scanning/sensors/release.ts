import { type Statement, statement } from '../../db/database.ts'

/** Puts a leased job back into its place in the queue; the lease does not count as a lost runner. */
export const releaseJob = (org: number, jobId: string, fence: number, now: number): Statement =>
  statement(
    `UPDATE jobs SET state = 'queued', leases = leases - 1, agent_id = NULL, lease_until = NULL, phase = 'queued',
            updated_at = ?
      WHERE org = ? AND id = ? AND state = 'leased' AND fence = ?`,
    now,
    org,
    jobId,
    fence,
  )
