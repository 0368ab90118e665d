import type { BaseContext } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { runnerPool } from '../../db/objects.ts'
import { shardNames, tenantDb } from '../../db/shards.ts'
import { newId } from '../../ids.ts'
import { BEST_RUNNER_WAIT, RUNNING_LIMIT } from '../bounds.ts'
import { REGISTRY_PLACE_SQL, type RegistryPlace } from '../registry-access.ts'
import { LEASE_SECONDS } from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'

const MAX_SHARDS = 3 // asked in one poll
const LOOKAHEAD = 100 // queued jobs that a poll looks at for one that the runner can run

/** A job that was just claimed, with its registry's row. */
export interface ClaimedJob extends RegistryPlace {
  shard: string
  jobId: string
  org: number
  fence: number
  image: string
  repository: string
  tag: string | null
  index_digest: string | null
  digest: string | null
  platform: string | null
  wanted: number
  created_at: number
}

/**
 * Claims the first job of the runner's pool that it can run, for `agentId`: by priority, then by fair-queue rank.
 * Of any number of polls at once, one gets it. Null when no shard asked had work.
 */
export async function claimJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
  offered: number,
): Promise<ClaimedJob | null> {
  const { shards, hinted } = await shardsToAsk(ctx, runner)
  for (const shard of shards) {
    const job = await claimInShard(ctx, runner, agentId, offered, shard)
    if (job) return job
    if (hinted.includes(shard)) ctx.defer(runnerPool(ctx.env, runner.pool).exhausted(shard))
  }
  return null
}

/** A sensor's jobs lie in one shard; a cloud runner asks the shards that announced work, then others in rotation. */
async function shardsToAsk(
  ctx: BaseContext,
  runner: RunnerIdentity,
): Promise<{ shards: string[]; hinted: string[] }> {
  if (runner.shard !== null) return { shards: [runner.shard], hinted: [] }
  const names = shardNames(ctx.env)
  const turn = Math.floor(ctx.now / 1000) % Math.max(1, names.length)
  const rotation = [...names.slice(turn), ...names.slice(0, turn)]
  const hints = await runnerPool(ctx.env, runner.pool)
    .hints(ctx.now)
    .catch(() => [] as string[])
  const hinted = hints.filter((name) => names.includes(name))
  return { shards: [...new Set([...hinted, ...rotation])].slice(0, MAX_SHARDS), hinted }
}

async function claimInShard(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
  offered: number,
  shard: string,
): Promise<ClaimedJob | null> {
  const db = tenantDb(ctx.env, shard, ctx.directory.meter)
  if (!db) return null
  const claim = newId('request')
  const leaseUntil = ctx.now + LEASE_SECONDS * 1000
  const results = await db.batch([
    takeJob(ctx.now, leaseUntil, claim, runner, agentId, offered),
    ...startScans(ctx.now, leaseUntil, claim),
    statement(
      `SELECT j.id AS jobId, j.org, j.fence, j.wanted, j.created_at, s.image, s.repository, s.tag, s.index_digest,
              s.digest, s.platform, ${REGISTRY_PLACE_SQL}
         FROM jobs j INDEXED BY jobs_lease CROSS JOIN scans s CROSS JOIN registries r
        WHERE j.state = 'leased' AND j.lease_until = ? AND j.claim = ?
          AND s.id = j.scan_id AND s.org = j.org AND r.id = j.registry_id AND r.org = j.org`,
      leaseUntil,
      claim,
    ),
  ])
  const row = results.at(-1)!.rows[0]
  return row ? ({ shard, ...row } as unknown as ClaimedJob) : null
}

/** One conditional UPDATE. A job waits some minutes for a runner that offers all its engines, then goes to any. */
const takeJob = (
  now: number,
  leaseUntil: number,
  claim: string,
  runner: RunnerIdentity,
  agentId: string,
  offered: number,
): Statement =>
  statement(
    `UPDATE jobs SET state = 'leased', fence = fence + 1, leases = leases + 1, agent_id = ?1, credential_id = ?2,
            claim = ?3, lease_until = ?4, phase = 'pulling', updated_at = ?5
      WHERE state = 'queued' AND id =
        (SELECT id FROM (SELECT id, wanted, needs, updated_at, org FROM jobs INDEXED BY jobs_claim
                          WHERE state = 'queued' AND pool = ?6
                          ORDER BY priority, rank, created_at, id LIMIT ${LOOKAHEAD})
          WHERE (wanted & ?7) <> 0 AND ((needs & ~?7) = 0 OR updated_at <= ?8) AND (?9 IS NULL OR org = ?9) LIMIT 1)`,
    agentId,
    runner.credentialId,
    claim,
    leaseUntil,
    now,
    runner.pool,
    offered,
    now - BEST_RUNNER_WAIT,
    runner.org,
  )

/** The scan of the claimed job and its followers run from now on. The bound counts from the first claim. */
function startScans(now: number, leaseUntil: number, claim: string): Statement[] {
  const claimed = `FROM jobs j INDEXED BY jobs_lease WHERE j.state = 'leased' AND j.lease_until = ?2 AND j.claim = ?3`
  const set = `SET status = 'IN_PROGRESS', started_at = coalesce(started_at, ?1),
    deadline_at = CASE WHEN started_at IS NULL THEN ?4 ELSE deadline_at END`
  const values = [now, leaseUntil, claim, now + RUNNING_LIMIT] as const
  return [
    statement(
      `UPDATE scans ${set} WHERE (org, id) = (SELECT j.org, j.scan_id ${claimed}) AND status = 'PENDING'`,
      ...values,
    ),
    statement(
      `UPDATE scans INDEXED BY scans_followers ${set}
        WHERE (org, leader_id) = (SELECT j.org, j.scan_id ${claimed}) AND status = 'PENDING'`,
      ...values,
    ),
  ]
}
