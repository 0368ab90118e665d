import type { AgentContext, BaseContext } from '../../context.ts'
import type { Database } from '../../db/database.ts'
import { tenantDb } from '../../db/shards.ts'
import { type Problem, problem } from '../../http/problems.ts'
import { parseJobWireId } from '../../ids.ts'
import { poolOfOrganization } from '../labelled-pools.ts'

/** Who calls on the runner routes, and which jobs it may have: those of one pool, for a sensor of one organization. */
export interface RunnerIdentity {
  credentialId: string
  /** "cloud", the registry's id, or a name without jobs of its own for a key that serves an organization's registries. */
  pool: string
  /** The only organization a sensor may touch; null for cloud runners. */
  org: number | null
  registryId: string | null
  /** Where a sensor's jobs lie; null for cloud runners. */
  shard: string | null
}

/**
 * A cloud runner's key belongs to nobody, a sensor's key to one registry. An organization's API key (its role is
 * checked at the door) may have the jobs of every registry of the organization that a sensor scans.
 */
export function runnerOf({ credential }: Pick<AgentContext, 'credential'>): RunnerIdentity {
  const { id: credentialId, kind, organization, registryId } = credential
  if (kind === 'runner_key') return { credentialId, pool: 'cloud', org: null, registryId: null, shard: null }
  if (!organization || (kind === 'sensor_key' && !registryId)) throw problem('FORBIDDEN')
  const { num: org, shard, id } = organization
  return { credentialId, pool: registryId ?? poolOfOrganization(id), org, registryId, shard }
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
 * The place of a job by its wire id. An id of another organization, or of no shard, is answered as a lost lease (or
 * as `absent` says): a caller learns nothing about jobs that are not its own.
 */
export function jobPlace(
  ctx: BaseContext,
  runner: RunnerIdentity,
  wireId: string,
  absent: () => Problem = leaseLost,
): JobPlace {
  const parts = parseJobWireId(wireId)
  if (!parts || (runner.org !== null && runner.org !== parts.org)) throw absent()
  const db = tenantDb(ctx.env, parts.shard, ctx.directory.meter)
  if (!db) throw absent()
  return { db, ...parts }
}
