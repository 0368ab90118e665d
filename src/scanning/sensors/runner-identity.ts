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

export interface Agent {
  id: string
  publicKey: string | null
  scannerVersions: Record<string, string>
  capabilities: string[]
}

const FRESH = 20_000 // below the heartbeat interval, so that polls keep a runner alive by themselves
const MAX_CACHED = 2000 // about 1 KB each
const cache = new Map<string, { agent: Agent; credentialId: string; until: number }>()

/**
 * The registered agent of this key, kept alive by being asked for. What an isolate remembers is at most 20 s
 * old; the pinned public key never changes. Null when the key has no such agent.
 */
export async function liveAgent(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
): Promise<Agent | null> {
  const cached = cache.get(agentId)
  if (cached && cached.credentialId === runner.credentialId && ctx.now < cached.until) return cached.agent
  const row = await ctx.directory.first<{
    public_key: string | null
    scanner_versions: string
    capabilities: string
  }>(
    statement(
      `UPDATE agents SET last_heartbeat_at = max(last_heartbeat_at, ?) WHERE id = ? AND credential_id = ?
       RETURNING public_key, scanner_versions, capabilities`,
      ctx.now,
      agentId,
      runner.credentialId,
    ),
  )
  if (!row) return null
  const agent = {
    id: agentId,
    publicKey: row.public_key,
    scannerVersions: JSON.parse(row.scanner_versions) as Record<string, string>,
    capabilities: JSON.parse(row.capabilities) as string[],
  }
  cache.delete(agentId)
  cache.set(agentId, { agent, credentialId: runner.credentialId, until: ctx.now + FRESH })
  if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value!)
  return agent
}

/** A registration changes what the isolate remembers. */
export const forgetAgent = (agentId: string): void => {
  cache.delete(agentId)
}
