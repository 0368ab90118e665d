import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { runnerPool } from '../../db/objects.ts'
import { parseReference } from '../../inventory/images/index.ts'
import type { ResolvedImage } from '../../inventory/registries/index.ts'
import { RetryLater } from '../../retry-later.ts'
import { auditEnd, endScan } from '../end-scan.ts'
import { engineBits } from '../engine-bits.ts'
import { poolOfOrganization, poolWithLabels } from '../labelled-pools.ts'
import { liveRunners, neededEngines } from '../live-runners.ts'
import { type ReasonCode, reason, type ScanReason } from '../reasons.ts'
import { REGISTRY_PLACE_SQL, type RegistryAccess, type RegistryPlace } from '../registry-access.ts'
import { tellViewers } from '../tell-viewers.ts'
import { dispatchResolved, dispatchUnresolved } from './dispatch-rows.ts'

export interface DispatchRow extends RegistryPlace {
  scan_id: string
  registry_id: string
  image: string
  repository: string
  tag: string | null
  platform: string | null
  scanners: string
  priority: number
  scan_method: 'cloud' | 'sensor'
  registry_status: string | null
  /** JSON array, sorted. */
  runner_labels: string
}

/** Deliveries after which a registry that does not answer is a failure of the scan. */
const MAX_ATTEMPTS = 4
const MAX_WAIT = 300 // seconds; a registry that asks for longer is asked again earlier
const MAX_LIVE_RUNNERS = 200 // of one pool, whose engines are looked at

/**
 * Makes a PENDING scan claimable: resolves it to one manifest, joins a job of the same digest in flight or
 * becomes a job of its own. Running it again changes nothing. Registries whose jobs sensors run are not
 * contacted. Throws RetryLater while the registry may still answer.
 */
export async function dispatchScan(
  ctx: Context,
  scanId: string,
  attempt: number,
  access: RegistryAccess,
): Promise<void> {
  const scan = await pendingScan(ctx, scanId)
  if (!scan) return
  if (scan.registry_status === null || scan.registry_status === 'DELETING') {
    return failScan(ctx, scan, reason('registry_removed'))
  }
  const resolved = scan.scan_method === 'cloud' ? await resolve(ctx, scan, attempt, access) : null
  if (resolved && 'code' in resolved) return failScan(ctx, scan, resolved)
  const wanted = engineBits(JSON.parse(scan.scanners) as string[])
  const pool = scan.scan_method === 'cloud' ? 'cloud' : scan.registry_id
  const labels = JSON.parse(scan.runner_labels) as string[]
  const needs = neededEngines(wanted, labels, await runnersOf(ctx, pool))
  if (typeof needs === 'string') return failScan(ctx, scan, reason(needs))
  const job = { pool: poolWithLabels(pool, labels), wanted, needs }
  await ctx.db.batch(
    resolved ? dispatchResolved(ctx, scan, resolved, job) : dispatchUnresolved(ctx, scan, job),
  )
  const { id, num, shard } = ctx.organization
  const lines = pool === 'cloud' ? [pool] : [pool, poolOfOrganization(id)]
  for (const line of lines) ctx.defer(runnerPool(ctx.env, line).announce(shard, ctx.now))
  tellViewers(ctx, num, [scanId])
}

/** The scan with its registry, while nothing was done about it yet. */
const pendingScan = (ctx: Context, scanId: string): Promise<DispatchRow | null> =>
  ctx.db.first<DispatchRow>(
    statement(
      `SELECT s.id AS scan_id, s.registry_id, s.image, s.repository, s.tag, s.platform, s.scanners, s.priority,
              r.scan_method, r.status AS registry_status, r.runner_labels, ${REGISTRY_PLACE_SQL}
         FROM scans s LEFT JOIN registries r ON r.id = s.registry_id AND r.org = s.org
        WHERE s.org = ? AND s.id = ? AND s.status = 'PENDING' AND s.job_id IS NULL AND s.leader_id IS NULL`,
      ctx.organization.num,
      scanId,
    ),
  )

async function resolve(
  ctx: Context,
  scan: DispatchRow,
  attempt: number,
  access: RegistryAccess,
): Promise<ResolvedImage | ScanReason> {
  const reference = parseReference(scan.image)
  if (!reference.ok) return reason('image_not_found', reference.message)
  const name = reference.digest ?? reference.tag ?? 'latest'
  const resolution = await access.resolveImage(ctx, scan, scan.repository, name, scan.platform)
  if (resolution.kind === 'resolved') return resolution.image
  if (resolution.kind === 'unavailable' && attempt < MAX_ATTEMPTS) {
    const wait = resolution.seconds ?? 5 * 2 ** attempt
    throw new RetryLater(`registry: ${resolution.reason.code}`, Math.min(MAX_WAIT, Math.max(1, wait)))
  }
  return resolution.reason
}

/** The live runners of a pool. */
const runnersOf = (ctx: Context, pool: string) =>
  pool === 'cloud'
    ? liveRunners(ctx.directory, null, null, ctx.now, MAX_LIVE_RUNNERS)
    : liveRunners(ctx.directory, ctx.organization.num, pool, ctx.now, MAX_LIVE_RUNNERS)

async function failScan(ctx: Context, scan: DispatchRow, why: ScanReason): Promise<void> {
  const org = ctx.organization.num
  const ending = { status: 'FAILED', reason: why } as const
  await ctx.db.batch([
    ...endScan(org, scan.scan_id, ending, ctx.now),
    auditEnd(ctx, org, scan.scan_id, ending),
  ])
  tellViewers(ctx, org, [scan.scan_id])
}

/** Ends a scan that could not be dispatched however often it was tried. One that was after all stays as it is. */
export async function failDispatch(ctx: Context, scanId: string, code: ReasonCode): Promise<void> {
  const scan = await pendingScan(ctx, scanId)
  if (scan) await failScan(ctx, scan, reason(code))
}
