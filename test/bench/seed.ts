import { DAY } from '../risk/results.ts'
import type { BenchServer } from './server.ts'
import type { Tenant } from './tenant.ts'
import { artifactNamed, type FleetArtifact, fleetResult, repositoryOf, tagOf } from './world.ts'

const AHEAD = 10 // uploads at once: as many as fill a queue batch, so that none waits for its time-out
const SLICE = 300 // scans asked for before the first of them is claimed
const POLL_MS = 100
const GIVE_UP_MS = 300_000 // without any scan ending

/** Scans artifacts through the endpoints, as runners do, and returns once all their findings can be read. */
export async function scanAll(
  server: BenchServer,
  tenant: Tenant,
  artifacts: readonly FleetArtifact[],
  build: number,
): Promise<void> {
  for (let from = 0; from < artifacts.length; from += SLICE) {
    const slice = artifacts.slice(from, from + SLICE)
    await tenant.requestScans(slice.map((each) => `${repositoryOf(each)}:${tagOf(each)}`))
    let left = slice.length
    const runner = async () => {
      while (left-- > 0) {
        const claimed = await tenant.claim()
        await tenant.upload(claimed, fleetResult(artifactNamed(claimed.repository, claimed.tag), build))
      }
    }
    await Promise.all(Array.from({ length: AHEAD }, runner))
  }
  await allIngested(server, tenant)
}

/** Database builds of the first scans and of each rescan: all in the past, each newer than the one before. */
export const buildOf = (now: number, rescan: number): number => now - (20 - rescan) * DAY

async function allIngested(server: BenchServer, { shard, num }: Tenant): Promise<void> {
  const db = await server.database(shard)
  const look = async () =>
    (await db
      .prepare(
        `SELECT count(*) FILTER (WHERE deadline_at IS NOT NULL) AS running,
           count(*) FILTER (WHERE status = 'FAILED') AS failed FROM scans WHERE org = ?`,
      )
      .bind(num)
      .first<{ running: number; failed: number }>())!
  let before = Number.POSITIVE_INFINITY
  for (let moved = performance.now(); ; ) {
    const { running, failed } = await look()
    if (failed > 0) throw new Error(`${failed} scans failed`)
    if (running === 0) return
    if (running < before) moved = performance.now()
    else if (performance.now() - moved > GIVE_UP_MS) throw new Error(`${running} scans do not end`)
    before = running
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
