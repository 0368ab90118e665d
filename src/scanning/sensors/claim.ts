import type { BaseContext } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { runnerPool } from '../../db/objects.ts'
import { shardNames, tenantDb } from '../../db/shards.ts'
import { raw, sql } from '../../db/sql.ts'
import { newId } from '../../ids.ts'
import { RUNNING_LIMIT } from '../bounds.ts'
import { REGISTRY_PLACE_SQL, type RegistryPlace } from '../registry-access.ts'
import { LEASE_SECONDS } from './protocol.ts'
import { releaseJob } from './release.ts'
import type { RunnerIdentity } from './runner-identity.ts'
import { type ClaimingAgent, handOutAgain, takeJob } from './take-job.ts'

const MAX_SHARDS = 3 // asked in one poll

/** What decides which jobs an agent gets, beside the engines that it offers. */
type AgentTerms = Omit<ClaimingAgent, 'id' | 'offered'>

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
  /** Jobs that the agent holds in this shard, this one among them. */
  held: number
}

/**
 * Claims the first job of the runner's pool that `agentId` can run and has room for: by priority, then by fair-queue
 * rank. Of any number of polls at once, one gets it, and no agent gets more than it takes at one time. An agent
 * without leases that still holds a job gets that one again. Null when no shard asked had work.
 */
export async function claimJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
  offered: number,
  terms: AgentTerms,
): Promise<ClaimedJob | null> {
  const agent = { ...terms, id: agentId, offered }
  const { shards, hinted } = await shardsToAsk(ctx, runner)
  for (const shard of shards) {
    const job = await claimInShard(ctx, runner, agent, shard)
    if (job) return (await holdsTooMany(ctx, shards, agent, job)) ? letGo(ctx, job) : job
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
  agent: ClaimingAgent,
  shard: string,
): Promise<ClaimedJob | null> {
  const db = tenantDb(ctx.env, shard, ctx.directory.meter)
  if (!db) return null
  const claim = newId('request')
  const leaseUntil = ctx.now + LEASE_SECONDS * 1000
  const results = await db.batch([
    ...(agent.unfenced ? [handOutAgain(ctx.now, leaseUntil, claim, runner, agent)] : []),
    takeJob(ctx.now, leaseUntil, claim, runner, agent),
    ...startScans(ctx.now, leaseUntil, claim),
    sql`SELECT j.id AS jobId, j.org, j.fence, j.wanted, j.created_at, s.image, s.repository, s.tag, s.index_digest,
               s.digest, s.platform, (${heldBy(agent.id, ctx.now)}) AS held, ${raw(REGISTRY_PLACE_SQL)}
          FROM jobs j INDEXED BY jobs_lease CROSS JOIN scans s CROSS JOIN registries r
         WHERE j.state = 'leased' AND j.lease_until = ${leaseUntil} AND j.claim = ${claim}
           AND s.id = j.scan_id AND s.org = j.org AND r.id = j.registry_id AND r.org = j.org`,
  ])
  const row = results.at(-1)!.rows[0]
  return row ? ({ shard, ...row } as unknown as ClaimedJob) : null
}

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

/**
 * Whether an agent holds jobs beyond what it takes, in the shards that its poll may ask beside the `held` in this one:
 * asked after a claim, so that of two polls at one time at least the later one sees both.
 */
async function holdsTooMany(
  ctx: BaseContext,
  shards: readonly string[],
  agent: ClaimingAgent,
  { shard, held }: ClaimedJob,
): Promise<boolean> {
  const elsewhere = await Promise.all(
    shards
      .filter((name) => name !== shard)
      .map((name) =>
        tenantDb(ctx.env, name, ctx.directory.meter)!.first<{ held: number }>(heldBy(agent.id, ctx.now)),
      ),
  )
  return elsewhere.reduce((sum, row) => sum + row!.held, held) > agent.concurrency
}

const heldBy = (agentId: string, now: number): Statement =>
  sql`SELECT count(*) AS held FROM jobs INDEXED BY jobs_held
       WHERE agent_id = ${agentId} AND state = 'leased' AND lease_until > ${now}`

/** Back into its place: nobody was told of this claim. */
async function letGo(ctx: BaseContext, { shard, org, jobId, fence }: ClaimedJob): Promise<null> {
  await tenantDb(ctx.env, shard, ctx.directory.meter)!.run(releaseJob(org, jobId, fence, ctx.now))
  return null
}
