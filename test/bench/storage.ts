import type { D1Database } from '@cloudflare/workers-types'
import type { Plan } from './options.ts'
import { buildOf, scanAll } from './seed.ts'
import type { BenchServer } from './server.ts'
import { extrapolate } from './statistics.ts'
import { type TableSize, tableSizes } from './table-sizes.ts'
import type { Tenant } from './tenant.ts'
import { fleetOf } from './world.ts'

export const REFERENCE_FINDINGS = 300_000 // the size that storage is spoken of

interface State {
  findings: number
  links: number
  matches: number
  scans: number
  /** The shard's file, free pages included. */
  bytes: number
}

export interface Storage {
  /** After the first scan of each artifact, and after the rescans. */
  first: State
  rescanned: State
  /** In proportion for `REFERENCE_FINDINGS`, every artifact scanned once. */
  reference: number
  /** What one rescan that changes nothing adds: its scan, job, audit rows. */
  bytesOfRescan: number
  /** Of the same rows in a file of its own, by table and index, the largest first. */
  tables: TableSize[]
}

/** Scans the organization's images, all artifacts once and then some again, and measures what that takes in the shard. */
export async function makeFleet(
  root: string,
  server: BenchServer,
  tenant: Tenant,
  plan: Plan,
  now: number,
): Promise<Storage> {
  const db = await server.database(tenant.shard)
  const all = fleetOf(0, plan.images)
  const before = await stateOf(db, tenant)
  await scanAll(server, tenant, all, buildOf(now, 0))
  const first = await stateOf(db, tenant)
  const again = all.slice(0, Math.round(all.length * plan.rescans))
  await scanAll(server, tenant, again, buildOf(now, 1))
  const rescanned = await stateOf(db, tenant)
  return {
    ...{ first, rescanned },
    reference: extrapolate(first.bytes - before.bytes, first.findings, REFERENCE_FINDINGS),
    bytesOfRescan: (rescanned.bytes - first.bytes) / again.length,
    tables: await tableSizes(root, db),
  }
}

async function stateOf(db: D1Database, { num }: Tenant): Promise<State> {
  const { results, meta } = await db
    .prepare(
      `SELECT (SELECT coalesce(sum(critical + high + medium + low + unknown), 0) FROM artifacts WHERE org = ?1) AS findings,
        (SELECT count(*) FROM artifact_packages WHERE org = ?1) AS links,
        (SELECT count(*) FROM matches WHERE org = ?1) AS matches,
        (SELECT count(*) FROM scans WHERE org = ?1) AS scans`,
    )
    .bind(num)
    .all<Omit<State, 'bytes'>>()
  return { ...results[0]!, bytes: meta.size_after as number }
}
