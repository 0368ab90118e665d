import type { BaseContext } from './context.ts'
import type { Database } from './db/database.ts'
import { runnerPool } from './db/objects.ts'
import { resendPromised } from './db/outbox.ts'
import { shardNames, tenantDb } from './db/shards.ts'
import type { Env } from './env.ts'
import { forgetReplies } from './http/idempotency.ts'
import { endStuckSyncs, resumeDeletions, startDueSyncs } from './inventory/registries/index.ts'
import { deleteMarkedBlobs } from './scanning/scans/release-blobs.ts'
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
    await Promise.all(requeued.map((pool) => runnerPool(env, pool).announce(name, now, true)))
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
  'replies.forget': ({ now }, { db }) => db.run(forgetReplies(now, SLICE * 5)),
}

/** Runs every sweep on every shard. One that fails is logged and holds up no other. */
export async function handleScheduled(env: Env, execution: ExecutionContext, now: number): Promise<void> {
  const base = systemBase(env, execution, now)
  await run('directory', 'replies.forget', () => base.directory.run(forgetReplies(now, SLICE * 5)))
  for (const name of shardNames(env)) {
    const db = tenantDb(env, name, base.directory.meter)!
    for (const [sweep, work] of Object.entries(EVERY_MINUTE)) {
      await run(name, sweep, () => work(base, { name, db }))
    }
  }
}

async function run(shard: string, sweep: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    console.error(
      JSON.stringify({ level: 'error', event: 'sweep_failed', shard, sweep, error: String(error) }),
    )
  }
}
