import type { Cost } from './http.ts'
import type { BenchServer } from './server.ts'
import { percentile } from './statistics.ts'
import { aTenant, until } from './tenant.ts'

const RUNNERS = 4
const CLAIMS = 50 // of each: fewer than a runner may hold
const COPIES_AT_ONCE = 5000

export interface ClaimFigure {
  queued: number
  claims: number
  /** Inside the Worker, whole milliseconds. */
  p50: number
  p99: number
  rowsRead: number
  rowsWritten: number
  roundTrips: number
}

/**
 * Claims with so many jobs queued in the runner's pool. One scan goes through its endpoint and its dispatch; the other
 * jobs, and their scans, are copies of its rows: one by one they would take hours to ask for.
 */
export async function measureClaims(server: BenchServer, queued: number): Promise<ClaimFigure> {
  const tenant = await aTenant(server, 'Queue')
  await tenant.requestScans(['queue/app:1.0'])
  const db = await server.database(tenant.shard)
  const job = await until('a queued job', () =>
    db
      .prepare("SELECT id FROM jobs WHERE org = ? AND state = 'queued'")
      .bind(tenant.num)
      .first<{ id: string }>(),
  )
  for (let from = 0; from < queued - 1; from += COPIES_AT_ONCE)
    await db.batch(
      COPIES.map((sql) => db.prepare(sql).bind(job.id, from, Math.min(COPIES_AT_ONCE, queued - 1 - from))),
    )
  const costs: Cost[] = []
  for (let number = 0; number < RUNNERS; number++) {
    const runner = await tenant.anotherRunner()
    for (let claim = 0; claim < CLAIMS; claim++) costs.push((await runner.claim()).cost!)
  }
  const times = costs.map(({ ms }) => ms)
  const most = (of: 'rowsRead' | 'rowsWritten' | 'roundTrips') => Math.max(...costs.map((cost) => cost[of]))
  return {
    ...{ queued, claims: costs.length, p50: percentile(times, 50), p99: percentile(times, 99) },
    ...{ rowsRead: most('rowsRead'), rowsWritten: most('rowsWritten'), roundTrips: most('roundTrips') },
  }
}

/** Copies of the scan and of the job ?1: ?3 of them, numbered from ?2 on. */
const NUMBERS = `WITH RECURSIVE copies(n) AS (SELECT ?2 + 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?2 + ?3)`
const ID = "printf('scn_%020d', n)"
const COPIES = [
  `${NUMBERS} INSERT INTO scans (id, org, registry_id, image, repository, tag, platform, trigger, priority, scanners,
      status, job_id, requested_by, created_at, deadline_at)
    SELECT ${ID}, org, registry_id, image || n, repository || n, tag, platform, trigger, priority, scanners,
      status, ${ID}, requested_by, created_at, deadline_at FROM copies CROSS JOIN scans WHERE scans.id = ?1`,
  `${NUMBERS} INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, wanted, needs, phase,
      progress, created_at, updated_at)
    SELECT ${ID}, org, ${ID}, registry_id, pool, state, priority, rank + n, wanted, needs, phase, progress,
      created_at, updated_at FROM copies CROSS JOIN jobs WHERE jobs.id = ?1`,
]
