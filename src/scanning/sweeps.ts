import { type Database, type Statement, statement } from '../db/database.ts'
import { runnerPool } from '../db/objects.ts'
import { promise } from '../db/outbox.ts'
import type { Env } from '../env.ts'
import { BEST_RUNNER_WAIT } from './bounds.ts'
import { auditEnd, endJob, endScan } from './end-scan.ts'
import { BEHIND_MARK, labelsOfPool, plainPool } from './labelled-pools.ts'
import { liveRunners, neededEngines } from './live-runners.ts'
import { type ReasonCode, reason } from './reasons.ts'
import type { TellViewers } from './tell-viewers.ts'

const HOUR = 3_600_000
const REINGEST_AFTER = 10 * 60_000 // longer than an ingest and its retries take
const INGEST_LIMIT = 2 * HOUR // then the result is given up
const DONE_KEPT = 3 * 24 * HOUR // repeated calls of runners are answered that long
const SLICE = 100 // rows a sweep takes at once, of one shard

/** Scans whose time is up: nobody took them within 24 hours, or they took longer than 60 minutes. */
export async function endOverdueScans(
  db: Database,
  now: number,
  tell: TellViewers = () => {},
): Promise<number> {
  const overdue = await db.all<{ id: string; org: number; started_at: number | null; job_id: string | null }>(
    statement(
      `SELECT s.id, s.org, s.started_at, s.job_id FROM scans s INDEXED BY scans_deadline
        WHERE s.deadline_at <= ? AND NOT EXISTS
          (SELECT 1 FROM jobs j WHERE j.id = s.job_id AND j.org = s.org AND j.state = 'uploaded')
        ORDER BY s.deadline_at LIMIT ?`,
      now,
      SLICE,
    ),
  )
  await db.batch(
    overdue.flatMap(({ id, org, started_at, job_id }) =>
      endWith(org, id, job_id, started_at === null ? 'no_runner' : 'timeout', now),
    ),
  )
  tellEach(
    tell,
    overdue.map(({ org, id, job_id }) => ({ org, ids: [id, job_id] })),
  )
  return overdue.length
}

const endWith = (
  org: number,
  id: string,
  jobId: string | null,
  code: ReasonCode,
  now: number,
): Statement[] => {
  const ending = { status: 'FAILED', reason: reason(code) } as const
  return [
    ...endScan(org, id, ending, now),
    ...(jobId === null ? [] : [endJob(org, jobId, now)]),
    auditEnd({ actor: { kind: 'system', job: 'sweep' }, ip: null, now }, org, id, ending),
  ]
}

/** Results that arrived, or were taken up again, and were not ingested: asked for again, and given up after two hours. */
export async function rescueUploads(
  db: Database,
  now: number,
  tell: TellViewers = () => {},
): Promise<number> {
  const stuck = await db.all<{ id: string; org: number; scan_id: string; since: number }>(
    statement(
      `SELECT id, org, scan_id, max(uploaded_at, updated_at) AS since FROM jobs INDEXED BY jobs_uploaded
        WHERE state = 'uploaded' AND uploaded_at <= ? ORDER BY uploaded_at LIMIT ?`,
      now - REINGEST_AFTER,
      SLICE,
    ),
  )
  await db.batch(
    stuck.flatMap(({ id, org, scan_id, since }) =>
      since <= now - INGEST_LIMIT
        ? endWith(org, scan_id, id, 'ingest_failed', now)
        : [ingestAgain(org, id, now)],
    ),
  )
  tellEach(
    tell,
    stuck.map(({ org, id, scan_id }) => ({ org, ids: [id, scan_id] })),
  )
  return stuck.length
}

/** One call for each organization, whose streams look at their rows themselves. */
function tellEach(tell: TellViewers, changes: readonly { org: number; ids: (string | null)[] }[]): void {
  for (const [org, ofOrg] of Map.groupBy(changes, (change) => change.org))
    tell(
      org,
      ofOrg.flatMap(({ ids }) => ids),
    )
}

/** One promise at a time for each job: the row's id is the job's, so that sweeps do not pile them up. */
function ingestAgain(org: number, jobId: string, now: number): Statement {
  const { message } = promise({ kind: 'scan.ingest', org, scanId: jobId }, now)
  const id = `ingest_${jobId}`
  return statement(
    `INSERT INTO outbox (id, org, message, created_at, next_attempt_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    id,
    org,
    JSON.stringify({ ...message, outboxId: id }),
    now,
    now,
  )
}

/** Tells every pool with claimable work in this shard about it: hints are lost when an object is evicted. */
export async function repairHints(env: Env, db: Database, shard: string, now: number): Promise<number> {
  const pools = await db.all<{ pool: string }>(
    statement(
      `WITH RECURSIVE waiting(pool) AS (
         SELECT min(pool) FROM jobs INDEXED BY jobs_claim WHERE state = 'queued'
         UNION ALL
         SELECT (SELECT min(j.pool) FROM jobs j INDEXED BY jobs_claim WHERE j.state = 'queued' AND j.pool > waiting.pool)
           FROM waiting WHERE waiting.pool IS NOT NULL)
       SELECT pool FROM waiting WHERE pool IS NOT NULL LIMIT ?`,
      SLICE,
    ),
  )
  const plain = new Set(pools.map(({ pool }) => plainPool(pool)))
  await Promise.all([...plain].map((pool) => runnerPool(env, pool).announce(shard, now, true)))
  return pools.length
}

/**
 * Queued jobs of the cloud's pools while runners are live, of which none has the labels or offers an engine asked for:
 * they would wait in vain.
 */
export async function endUnrunnableScans(
  directory: Database,
  db: Database,
  now: number,
  tell: TellViewers = () => {},
): Promise<number> {
  const [plain, labelled] = await db.batch([
    queuedFor("pool = 'cloud'", 'priority, rank, created_at, id', now),
    queuedFor(`pool > 'cloud' AND pool < 'cloud${BEHIND_MARK}'`, 'pool, priority, rank, created_at, id', now),
  ])
  const waiting = [...plain!.rows, ...labelled!.rows] as unknown as QueuedJob[]
  if (waiting.length === 0) return 0
  const live = await liveRunners(directory, null, null, now, SLICE)
  if (live.length === 0) return 0
  const vain = waiting.flatMap((job) => {
    const why = neededEngines(job.wanted, labelsOfPool(job.pool), live)
    return typeof why === 'string' ? [{ ...job, why }] : []
  })
  await db.batch(vain.flatMap(({ org, scan_id, id, why }) => endWith(org, scan_id, id, why, now)))
  tellEach(
    tell,
    vain.map(({ org, id, scan_id }) => ({ org, ids: [id, scan_id] })),
  )
  return vain.length
}

interface QueuedJob {
  id: string
  org: number
  scan_id: string
  pool: string
  wanted: number
}

const queuedFor = (pools: string, order: string, now: number): Statement =>
  statement(
    `SELECT id, org, scan_id, pool, wanted FROM jobs INDEXED BY jobs_claim
      WHERE state = 'queued' AND ${pools} AND updated_at <= ? ORDER BY ${order} LIMIT ?`,
    now - BEST_RUNNER_WAIT,
    SLICE,
  )

/** Rows that nobody asks for any more, at most a slice of each kind. */
export async function forgetDoneJobs(db: Database, now: number): Promise<number> {
  return db.run(
    statement(
      `DELETE FROM jobs WHERE id IN (SELECT id FROM jobs INDEXED BY jobs_done WHERE state = 'done' AND updated_at <= ? LIMIT ?)
         AND state = 'done'`,
      now - DONE_KEPT,
      SLICE * 5,
    ),
  )
}

/** Artifacts scanned by digest whose time is up: their image is looked at by the retiring job. */
export async function unpinArtifacts(db: Database, now: number): Promise<number> {
  const due = await db.all<{ id: number; org: number; image_id: string }>(
    statement(
      'SELECT id, org, image_id FROM artifacts INDEXED BY artifacts_pinned WHERE pinned_until <= ? LIMIT ?',
      now,
      SLICE,
    ),
  )
  await db.batch(
    due.flatMap(({ id, org, image_id }) => [
      statement(
        'UPDATE artifacts SET pinned_until = NULL WHERE org = ? AND id = ? AND pinned_until <= ?',
        org,
        id,
        now,
      ),
      promise({ kind: 'artifacts.retire', org, imageId: image_id }, now).statement,
    ]),
  )
  return due.length
}
