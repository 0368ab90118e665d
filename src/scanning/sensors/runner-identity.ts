import type { AgentContext, BaseContext } from '../../context.ts'
import { type Database, statement } from '../../db/database.ts'
import { tenantDb } from '../../db/shards.ts'
import { problem } from '../../http/problems.ts'
import { parseJobWireId } from '../../ids.ts'

/** Who calls on the runner routes, and which jobs it may have: those of one pool, for a sensor of one organization. */
export interface RunnerIdentity {
  credentialId: string
  /** "cloud", or the registry's id. */
  pool: string
  /** The only organization a sensor may touch; null for cloud runners. */
  org: number | null
  registryId: string | null
  /** Where a sensor's jobs lie; null for cloud runners. */
  shard: string | null
}

/** A cloud runner's key belongs to nobody, a sensor's key to one registry; a key without either has no jobs. */
export function runnerOf({ credential }: Pick<AgentContext, 'credential'>): RunnerIdentity {
  const { id: credentialId, kind, organization, registryId } = credential
  if (kind === 'runner_key') return { credentialId, pool: 'cloud', org: null, registryId: null, shard: null }
  if (kind !== 'sensor_key' || !organization || !registryId) throw problem('FORBIDDEN')
  const { num: org, shard } = organization
  return { credentialId, pool: registryId, org, registryId, shard }
}

/** The old holder's answer to every call: drop the job at once. */
export const leaseLost = () => problem('CONFLICT', 'The lease of this job is lost', { detail: 'lease_lost' })

/** Where a job lies. */
export interface JobPlace {
  db: Database
  shard: string
  org: number
  jobId: string
}

/**
 * The place of a job by its wire id. An id of another organization, or of no shard, is answered as a lost lease:
 * a caller learns nothing about jobs that are not its own.
 */
export function jobPlace(ctx: BaseContext, runner: RunnerIdentity, wireId: string): JobPlace {
  const parts = parseJobWireId(wireId)
  if (!parts || (runner.org !== null && runner.org !== parts.org)) throw leaseLost()
  const db = tenantDb(ctx.env, parts.shard, ctx.directory.meter)
  if (!db) throw leaseLost()
  return { db, ...parts }
}

const FRESH = 20_000 // below the heartbeat interval, so that polls keep a runner alive by themselves
const MAX_REMEMBERED = 5000 // agents, about 100 bytes each
const heard = new Map<string, number>()

/** Notes after the reply that an agent lives; at most every 20 s for each agent and isolate. */
export function stayAlive(
  ctx: BaseContext,
  { credentialId }: RunnerIdentity,
  agentId: string,
  lastHeartbeatAt = 0,
): void {
  const last = Math.max(lastHeartbeatAt, heard.get(agentId) ?? 0)
  const isFresh = ctx.now - last < FRESH
  heard.delete(agentId)
  heard.set(agentId, isFresh ? last : ctx.now)
  if (heard.size > MAX_REMEMBERED) heard.delete(heard.keys().next().value!)
  if (isFresh) return
  ctx.defer(
    ctx.directory.run(
      statement(
        `UPDATE agents SET last_heartbeat_at = ?1 WHERE id = ?2 AND credential_id = ?3 AND last_heartbeat_at < ?1 - ${FRESH}`,
        ctx.now,
        agentId,
        credentialId,
      ),
    ),
  )
}
