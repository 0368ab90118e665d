import type { BaseContext } from '../../context.ts'
import { deleteObjects, resultKey } from '../../db/blobs.ts'
import { LostRace, statement } from '../../db/database.ts'
import { tenantDb } from '../../db/shards.ts'
import { newId, parseJobWireId } from '../../ids.ts'
import { acceptUpload, type OfUpload, replyOf, uploadOf } from './accept-upload.ts'
import { insistently } from './insistently.ts'
import { LEASE_SECONDS, type UploadReply } from './protocol.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import type { JobPlace, RunnerIdentity } from './runner-identity.ts'

const RECEIVING = 10 * 60_000 // ms; a body of 90 MB over a slow line, and R2 behind it
const KEY_WITHOUT_FENCE = 0

/**
 * Takes the result of a job that an agent without leases claimed with this key: once, and the same answer to every
 * repetition. It wins over what was said about the job meanwhile, and over a lease that ran out, as long as nobody
 * else took the job; the result of a job that ended otherwise is answered alike and let go. Storage that does not
 * answer is asked again: the sensor never repeats an upload. Null where the id names no job that this key claimed last.
 */
export async function completeUnfenced(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: ReceivedUpload,
  wireId: string,
): Promise<UploadReply | null> {
  const place = placeOf(ctx, runner, wireId)
  const job = place && (await insistently(() => beginReceiving(ctx, runner, place)))
  if (!job) return null
  if (!job.receiving) return replyOf(job)
  const key = resultKey(place.org, place.jobId, KEY_WITHOUT_FENCE, newId('request'))
  try {
    await upload.store(ctx.env, key)
    return await insistently(() => acceptUpload(ctx, runner, place, key, { sql: HELD, params: [] }))
  } catch (error) {
    if (!(error instanceof LostRace)) {
      ctx.defer(endReceiving(ctx, place))
      throw error
    }
    const taken = (await insistently(() => place.db.first<OfUpload>(uploadOf(place.org, place.jobId))))!
    if (taken.result_key !== key) ctx.defer(deleteObjects(ctx.env, place.org, [key]))
    return replyOf(taken)
  }
}

/** Still the key's own: held, or waiting again after its lease ran out. The key itself is checked beside. */
const HELD = "unfenced = 1 AND state IN ('leased', 'queued')"

function placeOf(ctx: BaseContext, runner: RunnerIdentity, wireId: string): JobPlace | null {
  const parts = parseJobWireId(wireId)
  if (!parts || parts.org !== runner.org) return null
  const db = tenantDb(ctx.env, parts.shard, ctx.directory.meter)
  return db && { db, ...parts }
}

/** From now on nobody is handed the job and what its agent says about it changes nothing, for a bounded time. */
async function beginReceiving(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
): Promise<(OfUpload & { receiving: boolean }) | null> {
  const [marked, jobs] = await db.batch([
    statement(
      `UPDATE jobs SET receiving_until = ?1, lease_until = CASE state WHEN 'leased' THEN max(lease_until, ?1) END
        WHERE org = ?2 AND id = ?3 AND credential_id = ?4 AND ${HELD}`,
      ctx.now + RECEIVING,
      org,
      jobId,
      runner.credentialId,
    ),
    uploadOf(org, jobId),
  ])
  const job = jobs!.rows[0] as unknown as OfUpload | undefined
  if (job?.credential_id !== runner.credentialId) return null
  return { ...job, receiving: marked!.changes === 1 }
}

/** The upload came to nothing: the agent has the job as before, and its next poll gets it again. */
const endReceiving = (ctx: BaseContext, { db, org, jobId }: JobPlace) =>
  db.run(
    statement(
      `UPDATE jobs SET receiving_until = NULL, lease_until = CASE state WHEN 'leased' THEN min(lease_until, ?1) END
        WHERE org = ?2 AND id = ?3 AND ${HELD}`,
      ctx.now + LEASE_SECONDS * 1000,
      org,
      jobId,
    ),
  )
