import type { BaseContext } from '../../context.ts'
import { type Database, type Statement, statement } from '../../db/database.ts'
import { tenantDb } from '../../db/shards.ts'
import { parseJobWireId } from '../../ids.ts'
import { tellViewers } from '../tell-viewers.ts'
import { stayAlive } from './calling-agent.ts'
import { type HeartbeatReply, type HeartbeatRequest, LEASE_SECONDS, STOPPING } from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'
import { leaveLine } from './wait-for-job.ts'

const RENEW_BELOW = 80_000 // every second heartbeat writes; the lease left is never under two heartbeats

interface Beat {
  wireId: string
  jobId: string
  org: number
  shard: string
  fence: number
  progress: HeartbeatRequest['jobs'][number]['progress']
}

interface LeaseRow {
  id: string
  org: number
  state: string
  fence: number
  lease_until: number | null
  cancel: number
}

/**
 * A heartbeat that names no job keeps what an agent without leases claimed. One that says it is idle does not: then
 * the claim is not yet known to it or was lost, and its next poll tells which.
 */
async function renewByLiveness(
  ctx: BaseContext,
  { shard, org, credentialId }: RunnerIdentity,
  { agentId, activeScans, jobs }: HeartbeatRequest,
): Promise<void> {
  if (shard === null || !agentId || jobs.length > 0 || activeScans === 0) return
  await tenantDb(ctx.env, shard, ctx.directory.meter)?.run(
    statement(
      `UPDATE jobs INDEXED BY jobs_held SET lease_until = ?1, updated_at = ?2
        WHERE agent_id = ?3 AND state = 'leased' AND org = ?6 AND credential_id = ?4 AND unfenced = 1 AND lease_until < ?5`,
      ctx.now + LEASE_SECONDS * 1000,
      ctx.now,
      agentId,
      credentialId,
      ctx.now + RENEW_BELOW,
      org,
    ),
  )
}

/**
 * Extends the leases that the runner still holds and says for each job named how long, and whether to stop. A
 * job that is not its own any more, or never was, is answered with 0 seconds and changes nothing.
 */
export async function renewLeases(
  ctx: BaseContext,
  runner: RunnerIdentity,
  input: HeartbeatRequest,
): Promise<HeartbeatReply> {
  if (input.agentId || runner.org !== null) stayAlive(ctx, runner, input.agentId ?? '')
  if (input.agentId && input.status === STOPPING) await leaveLine(ctx, runner, input.agentId)
  await renewByLiveness(ctx, runner, input)
  const beats = input.jobs.flatMap((job): Beat[] => {
    const place = parseJobWireId(job.id)
    const isOwn = place && (runner.org === null || runner.org === place.org)
    return isOwn ? [{ wireId: job.id, ...place, fence: job.fence, progress: job.progress }] : []
  })
  const rows = new Map<string, LeaseRow>()
  const byShard = Map.groupBy(beats, (beat) => beat.shard)
  for (const [shard, ofShard] of byShard) {
    const db = tenantDb(ctx.env, shard, ctx.directory.meter)
    if (db)
      for (const row of await renewInShard(ctx, db, runner, ofShard)) rows.set(`${row.org}/${row.id}`, row)
  }
  return {
    jobs: input.jobs.map(({ id, fence }) => {
      const place = parseJobWireId(id)
      return { id, ...answer(place && rows.get(`${place.org}/${place.jobId}`), fence, ctx.now) }
    }),
  }
}

function answer(row: LeaseRow | null | undefined, fence: number, now: number) {
  if (!row || row.fence !== fence) return { leaseSeconds: 0, cancel: false }
  if (row.state !== 'leased') return { leaseSeconds: 0, cancel: row.cancel === 1 }
  return { leaseSeconds: Math.max(0, Math.floor((row.lease_until! - now) / 1000)), cancel: row.cancel === 1 }
}

async function renewInShard(
  ctx: BaseContext,
  db: Database,
  runner: RunnerIdentity,
  beats: readonly Beat[],
): Promise<LeaseRow[]> {
  const results = await db.batch([
    ...beats.map((beat) => renew(beat, runner, ctx.now)),
    statement(
      `SELECT j.id, j.org, j.state, j.fence, j.lease_until, j.cancel
         FROM json_each(?1) b CROSS JOIN jobs j
        WHERE j.id = b.value ->> 'jobId' AND j.org = b.value ->> 'org' AND j.credential_id = ?2`,
      JSON.stringify(beats.map(({ jobId, org }) => ({ jobId, org }))),
      runner.credentialId,
    ),
  ])
  const changed = beats.filter((_, at) => results[at]!.changes > 0)
  for (const [org, jobs] of Map.groupBy(changed, (beat) => beat.org))
    tellViewers(
      ctx,
      org,
      jobs.map(({ jobId }) => jobId),
    )
  return results.at(-1)!.rows as unknown as LeaseRow[]
}

/** Lease and progress in one UPDATE, which is left out while neither has anything new. Progress never falls. */
function renew(beat: Beat, runner: RunnerIdentity, now: number): Statement {
  const engines = beat.progress ? JSON.stringify(beat.progress.engines) : null
  return statement(
    `UPDATE jobs SET lease_until = ?1, phase = coalesce(?2, phase), progress = max(progress, coalesce(?3, 0)),
            engines = coalesce(?4, engines), updated_at = ?5
      WHERE org = ?6 AND id = ?7 AND state = 'leased' AND fence = ?8 AND credential_id = ?9 AND lease_until > ?5
        AND (lease_until < ?10 OR phase IS NOT coalesce(?2, phase) OR progress < coalesce(?3, 0)
             OR engines IS NOT coalesce(?4, engines))`,
    now + LEASE_SECONDS * 1000,
    beat.progress?.phase ?? null,
    beat.progress?.progress ?? null,
    engines,
    now,
    beat.org,
    beat.jobId,
    beat.fence,
    runner.credentialId,
    now + RENEW_BELOW,
  )
}
