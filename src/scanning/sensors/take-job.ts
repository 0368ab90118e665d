import { type Statement, statement } from '../../db/database.ts'
import { BEST_RUNNER_WAIT } from '../bounds.ts'
import { BEHIND_MARK, hasLabelsOfPoolSql } from '../labelled-pools.ts'
import { MAX_LEASES } from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'

const LOOKAHEAD = 100 // queued jobs of a pool that a poll looks at for one that the runner can run
const MAX_POOLS = 64 // pools that a poll of a labelled runner, or of an organization's key, looks into
const REPEAT = 30_000 // ms in which handing a job out again is a repetition of the same reply

/** An agent that polls: what it offers, and on which terms it takes jobs. */
export interface ClaimingAgent {
  id: string
  /** Engines (bits). */
  offered: number
  labels: readonly string[]
  /** Jobs that it takes at one time. */
  concurrency: number
  /** It knows no leases and fences: its liveness keeps what it claims. */
  unfenced: boolean
}

/** The first job of a pool that runner ?9 with engines ?7 can run. One waits some minutes for a runner that offers all. */
const runnableIn = (pool: string): string =>
  `(SELECT id FROM (SELECT id, wanted, needs, updated_at, org FROM jobs INDEXED BY jobs_claim
                     WHERE state = 'queued' AND pool = ${pool}
                     ORDER BY priority, rank, created_at, id LIMIT ${LOOKAHEAD})
     WHERE (wanted & ?7) <> 0 AND ((needs & ~?7) = 0 OR updated_at <= ?8) AND (?9 IS NULL OR org = ?9) LIMIT 1)`

/** The plain pools whose jobs the key may have, and beside them the labelled ones in which jobs wait. */
const poolsFrom = (bases: string): string =>
  `WITH RECURSIVE bases(base) AS (${bases} LIMIT ${MAX_POOLS}),
     waiting(base, pool) AS (
       SELECT base, (SELECT min(q.pool) FROM jobs q INDEXED BY jobs_claim
                      WHERE q.state = 'queued' AND q.pool >= base AND q.pool < base || '${BEHIND_MARK}') FROM bases
       UNION ALL
       SELECT base, (SELECT min(q.pool) FROM jobs q INDEXED BY jobs_claim
                      WHERE q.state = 'queued' AND q.pool > waiting.pool AND q.pool < base || '${BEHIND_MARK}')
         FROM waiting WHERE pool IS NOT NULL LIMIT ${MAX_POOLS * 2})
   SELECT w.pool FROM waiting w WHERE w.pool IS NOT NULL AND ${hasLabelsOfPoolSql('w.pool', 'w.base', '?12')}`

const OF_ORGANIZATION = `SELECT r.id FROM registries r INDEXED BY registries_list
  WHERE r.org = ?9 AND r.scan_method = 'sensor'`

/** SQL of the job to take. Without labels and with one pool it is one seek; the first of each pool compete otherwise. */
function firstRunnable({ org, registryId }: RunnerIdentity, labels: readonly string[]): string {
  const ofOrganization = org !== null && registryId === null
  if (!ofOrganization && labels.length === 0) return runnableIn('?6')
  return `(SELECT j.id FROM (${poolsFrom(ofOrganization ? OF_ORGANIZATION : 'SELECT ?6')}) p
             CROSS JOIN jobs j ON j.id = ${runnableIn('p.pool')}
            ORDER BY j.priority, length(j.pool) DESC, j.rank, j.created_at, j.id LIMIT 1)`
}

/** One conditional UPDATE: an agent that already holds as many jobs as it takes gets none. */
export function takeJob(
  now: number,
  leaseUntil: number,
  claim: string,
  runner: RunnerIdentity,
  agent: ClaimingAgent,
): Statement {
  return statement(
    `UPDATE jobs SET state = 'leased', fence = fence + 1, leases = leases + 1, agent_id = ?1, credential_id = ?2,
            claim = ?3, lease_until = ?4, phase = 'pulling', updated_at = ?5, handed_at = ?5, unfenced = ?10,
            receiving_until = NULL
      WHERE state = 'queued' AND id = ${firstRunnable(runner, agent.labels)}
        AND (SELECT count(*) FROM jobs h INDEXED BY jobs_held
              WHERE h.agent_id = ?1 AND h.state = 'leased' AND h.lease_until > ?5) < ?11 AND ?12 IS NOT NULL`,
    agent.id,
    runner.credentialId,
    claim,
    leaseUntil,
    now,
    runner.pool,
    agent.offered,
    now - BEST_RUNNER_WAIT,
    runner.org,
    agent.unfenced ? 1 : 0,
    agent.unfenced ? 1 : agent.concurrency,
    JSON.stringify(agent.labels),
  )
}

/**
 * The job that an agent without leases still holds: its poll says that the reply, or what it reported, was lost.
 * Not while an upload is being received. Each time counts as a lost runner, except within seconds of the one
 * before; after MAX_LEASES the lease is left to run out.
 */
export const handOutAgain = (
  now: number,
  leaseUntil: number,
  claim: string,
  { credentialId, org }: RunnerIdentity,
  agent: ClaimingAgent,
): Statement =>
  statement(
    `UPDATE jobs SET claim = ?3, lease_until = ?4, updated_at = ?5, leases = leases + (handed_at <= ?6),
            handed_at = CASE WHEN handed_at <= ?6 THEN ?5 ELSE handed_at END
      WHERE id = (SELECT id FROM jobs INDEXED BY jobs_held
                   WHERE agent_id = ?1 AND state = 'leased' AND org = ?7 AND credential_id = ?2 AND unfenced = 1
                     AND coalesce(receiving_until, 0) <= ?5 AND (handed_at > ?6 OR leases < ${MAX_LEASES}) LIMIT 1)
        AND org = ?7 AND state = 'leased'`,
    agent.id,
    credentialId,
    claim,
    leaseUntil,
    now,
    now - REPEAT,
    org,
  )
