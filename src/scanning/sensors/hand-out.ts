import type { RegisteredAgent } from '../../auth/credentials.ts'
import type { BaseContext } from '../../context.ts'
import { sealCredentials } from '../../crypto/sealed-credentials.ts'
import { organizationByNum } from '../../db/organizations.ts'
import { tenantDb } from '../../db/shards.ts'
import { problem } from '../../http/problems.ts'
import { jobWireId } from '../../ids.ts'
import { parseReference } from '../../inventory/images/index.ts'
import { DEFAULT_PLATFORM } from '../../inventory/registries/index.ts'
import { auditEnd, endJob, endScanOfJob, scanOfJob } from '../end-scan.ts'
import { enginesOf } from '../engine-bits.ts'
import { offeredBy } from '../live-runners.ts'
import { reason } from '../reasons.ts'
import type { RegistryAccess } from '../registry-access.ts'
import { tellViewers } from '../tell-viewers.ts'
import { knowsLeases, stayAlive } from './calling-agent.ts'
import { type ClaimedJob, claimJob } from './claim.ts'
import { type Job, LEASE_SECONDS, type PlainJob, PublicJwk } from './protocol.ts'
import { releaseJob } from './release.ts'
import type { RunnerIdentity } from './runner-identity.ts'

const CREDENTIALS_SECONDS = 300 // a pull begins well within; the JWE is worth nothing afterwards

/**
 * One job for a polling runner, or none; a disabled agent gets none. Credentials leave only here, sealed to the key
 * the agent registered; an agent with leases but without a key gets no job. One without leases gets plain jobs of
 * registries that sensors scan: it has credentials of its own. A job whose credentials do not open ends FAILED and is
 * not handed out. Throws NOT_FOUND for an agent that is not known.
 */
export async function pollJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agent: RegisteredAgent | null,
  access: RegistryAccess,
): Promise<(Job | PlainJob)[]> {
  if (!agent) throw problem('NOT_FOUND', 'Agent not found', { detail: 'unknown_agent' })
  stayAlive(ctx, runner, agent.id, agent.lastHeartbeatAt)
  const speaksScan = (JSON.parse(agent.capabilities) as string[]).includes('scan')
  if (agent.disabledAt !== null || !speaksScan) return []
  return knowsLeases(agent) ? leaseJob(ctx, runner, agent, access) : plainJob(ctx, runner, agent)
}

async function plainJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agent: RegisteredAgent,
): Promise<PlainJob[]> {
  if (runner.org === null) return []
  const offered = offeredBy(agent.scannerVersions)
  const labels = JSON.parse(agent.labels) as string[]
  const terms = { labels, concurrency: 1, unfenced: true }
  const claimed = await claimJob(ctx, runner, agent.id, offered, terms)
  return claimed ? [plainJobOf(claimed, offered)] : []
}

async function leaseJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agent: RegisteredAgent,
  access: RegistryAccess,
): Promise<Job[]> {
  const publicKey = PublicJwk.safeParse(agent.publicKey && JSON.parse(agent.publicKey))
  if (!publicKey.success) return []
  const offered = offeredBy(agent.scannerVersions)
  const labels = JSON.parse(agent.labels) as string[]
  const terms = { labels, concurrency: agent.concurrency, unfenced: false }
  const claimed = await claimJob(ctx, runner, agent.id, offered, terms)
  if (!claimed) return []
  const credentials = await sealedCredentials(
    ctx,
    claimed,
    { id: agent.id, publicKey: publicKey.data },
    access,
  ).catch(async (error: unknown) => {
    await giveBack(ctx, claimed)
    throw error
  })
  if (credentials === 'unreadable') {
    await failJob(ctx, claimed)
    return []
  }
  return [jobOf(claimed, offered, credentials)]
}

function plainJobOf(claimed: ClaimedJob, offered: number): PlainJob {
  const { host, repository, tag, digest } = claimed
  const reference = parseReference(claimed.image)
  const asked = reference.ok ? reference.digest : null
  const version = digest ?? asked
  return {
    id: jobWireId(claimed.shard, claimed.org, claimed.jobId),
    type: 'scan',
    createdAt: new Date(claimed.created_at).toISOString(),
    scan: {
      imageRef: version ? `${host}/${repository}@${version}` : `${host}/${repository}:${tag ?? 'latest'}`,
      source: 'registry',
      scanners: enginesOf(claimed.wanted & offered),
    },
  }
}

const jobOf = (claimed: ClaimedJob, offered: number, credentials: string | null): Job => ({
  ...plainJobOf(claimed, offered),
  lease: { fence: claimed.fence, seconds: LEASE_SECONDS },
  platform: claimed.platform ?? DEFAULT_PLATFORM,
  digest: claimed.digest,
  indexDigest: claimed.index_digest,
  insecure: claimed.insecure === 1,
  credentials,
})

async function sealedCredentials(
  ctx: BaseContext,
  claimed: ClaimedJob,
  agent: { id: string; publicKey: PublicJwk },
  access: RegistryAccess,
): Promise<string | null | 'unreadable'> {
  if (claimed.credentials === null) return null
  const organization = await organizationByNum(ctx.directory, claimed.org, ctx.now)
  if (!organization) return 'unreadable'
  const secret = await access.pullCredentials({ ...ctx, organization }, claimed)
  if (secret === null || secret === 'unreadable') return secret
  return sealCredentials(agent.publicKey, secret, {
    job: jobWireId(claimed.shard, claimed.org, claimed.jobId),
    fence: claimed.fence,
    runner: agent.id,
    host: claimed.host,
    exp: Math.floor(ctx.now / 1000) + CREDENTIALS_SECONDS,
  })
}

async function failJob(ctx: BaseContext, { shard, org, jobId }: ClaimedJob): Promise<void> {
  const ending = { status: 'FAILED', reason: reason('credentials_unavailable') } as const
  const actor = { kind: 'system', job: 'jobs.hand-out' } as const
  await tenantDb(ctx.env, shard, ctx.directory.meter)!.batch([
    ...endScanOfJob(org, jobId, ending, ctx.now),
    endJob(org, jobId, ctx.now),
    auditEnd({ ...ctx, actor, ip: null }, org, scanOfJob(org, jobId), ending),
  ])
  tellViewers(ctx, org, [jobId])
}

/** The secrets are out of reach for the moment: somebody else may have the job. */
const giveBack = (ctx: BaseContext, { shard, org, jobId, fence }: ClaimedJob) =>
  tenantDb(ctx.env, shard, ctx.directory.meter)!.run(releaseJob(org, jobId, fence, ctx.now))
