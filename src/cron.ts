import type { BaseContext } from './context.ts'
import { EVERY_MINUTE_RUN, rememberRun } from './db/cron-runs.ts'
import type { Database } from './db/database.ts'
import { forgetLetters } from './db/dead-letters.ts'
import { runnerPool } from './db/objects.ts'
import { resendPromised } from './db/outbox.ts'
import { shardNames, tenantDb } from './db/shards.ts'
import type { Env } from './env.ts'
import { forgetReplies } from './http/idempotency.ts'
import { endStuckSyncs, resumeDeletions, startDueSyncs } from './inventory/registries/index.ts'
import { logUnit, type Unit } from './log.ts'
import { forgetLeftPages } from './risk/findings/index.ts'
import { plainPool } from './scanning/labelled-pools.ts'
import { deleteMarkedBlobs } from './scanning/scans/release-blobs.ts'
import { sweepBucket } from './scanning/scans/sweep-bucket.ts'
import { startDueSchedules } from './scanning/schedules/due.ts'
import { expireLeases } from './scanning/sensors/expire-leases.ts'
import {
  endOverdueScans,
  endUnrunnableScans,
  forgetDoneJobs,
  repairHints,
  rescueUploads,
  unpinArtifacts,
} from './scanning/sweeps.ts'
import { type TellViewers, tellViewers } from './scanning/tell-viewers.ts'
import { systemBase } from './system-context.ts'

interface Shard {
  name: string
  db: Database
}

/** One sweep of one shard, in a bounded slice: what is left is there at the next minute. */
type Sweep = (base: BaseContext, shard: Shard) => Promise<unknown>

const SLICE = 200 // messages, leases and rows that one sweep takes
const MAX_NAMED = 20 // failed sweeps that a line names; the rest is counted
const BLOB_GRACE = 60_000 // ms; the request that marked them deletes them itself

/** Wakes the streams that show what a sweep changed. */
const tellFrom =
  (base: BaseContext): TellViewers =>
  (org, ids) =>
    tellViewers(base, org, ids)

/** What runs every minute, over every shard. Each may run twice, late, or at the same time as another. */
const EVERY_MINUTE: Record<string, Sweep> = {
  'outbox.resend': ({ env, now }, { db }) => resendPromised(env, db, now, SLICE),
  'leases.expire': async (base, { name, db }) => {
    const { env, now } = base
    const { requeued } = await expireLeases(db, now, SLICE, tellFrom(base))
    const pools = new Set(requeued.map(plainPool))
    await Promise.all([...pools].map((pool) => runnerPool(env, pool).announce(name, now, true)))
  },
  'scans.overdue': (base, { db }) => endOverdueScans(db, base.now, tellFrom(base)),
  'scans.unrunnable': (base, { db }) => endUnrunnableScans(base.directory, db, base.now, tellFrom(base)),
  'uploads.rescue': (base, { db }) => rescueUploads(db, base.now, tellFrom(base)),
  'pools.repair': ({ env, now }, { name, db }) => repairHints(env, db, name, now),
  'syncs.due': (base, { db }) => startDueSyncs(base, db),
  'syncs.stuck': ({ now }, { db }) => endStuckSyncs(db, now),
  'deletions.resume': (base, { db }) => resumeDeletions(base, db),
  'schedules.due': (base, { db }) => startDueSchedules(base, db),
  'artifacts.unpin': ({ now }, { db }) => unpinArtifacts(db, now),
  'blobs.delete': ({ env, now }, { db }) => deleteMarkedBlobs(env, db, now - BLOB_GRACE, SLICE),
  'jobs.forget': ({ now }, { db }) => forgetDoneJobs(db, now),
  'letters.forget': ({ now }, { db }) => db.run(forgetLetters(now, SLICE * 5)),
  'pages.forget': ({ now }, { db }) => db.run(forgetLeftPages(now, SLICE)),
  'replies.forget': ({ now }, { db }) => db.run(forgetReplies(now, SLICE * 5)),
}

/** Runs every sweep on every shard. One that fails holds up no other; the run's one line names it. */
export async function handleScheduled(env: Env, execution: ExecutionContext, now: number): Promise<void> {
  const startedAt = Date.now()
  const base = systemBase(env, execution, now)
  const failed: string[] = []
  const run = async (shard: string, sweep: string, work: () => Promise<unknown>) => {
    try {
      await work()
    } catch (error) {
      failed.push(`${shard}/${sweep}: ${error}`)
    }
  }
  await run('directory', 'replies.forget', () => base.directory.run(forgetReplies(now, SLICE * 5)))
  await run('directory', 'bucket.sweep', () => sweepBucket(base))
  for (const name of shardNames(env)) {
    const db = tenantDb(env, name, base.directory.meter)!
    for (const [sweep, work] of Object.entries(EVERY_MINUTE)) {
      await run(name, sweep, () => work(base, { name, db }))
    }
  }
  const ended = {
    ranAt: now,
    ms: Date.now() - startedAt,
    failures: failed.length,
    failed: failed.slice(0, MAX_NAMED),
  }
  await run('directory', 'run.remember', () => base.directory.run(rememberRun(EVERY_MINUTE_RUN, ended)))
  logRun(base, startedAt, failed)
}

function logRun(
  { env, requestId, directory: { meter } }: BaseContext,
  startedAt: number,
  failed: string[],
): void {
  const outcome = failed.length > 0 ? 'failed' : 'done'
  const unit: Unit = {
    ...{ event: 'cron', requestId, organization: null, name: EVERY_MINUTE_RUN },
    ...{ outcome, startedAt, meter },
  }
  logUnit(env, failed.length > 0 ? 'error' : 'info', unit, {
    failures: failed.length,
    ...(failed.length > 0 && { failed: failed.slice(0, MAX_NAMED) }),
  })
}
