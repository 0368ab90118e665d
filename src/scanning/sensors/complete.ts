import type { BaseContext } from '../../context.ts'
import { deleteObjects, resultKey } from '../../db/blobs.ts'
import { LostRace } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
import { invalid } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import { acceptUpload, type OfUpload, replyOf, uploadOf } from './accept-upload.ts'
import type { EnvelopeHead } from './envelope-head.ts'
import type { UploadReply } from './protocol.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import { type JobPlace, jobPlace, leaseLost, type RunnerIdentity } from './runner-identity.ts'

/**
 * Takes the result of a lease: stored first under a key of its own, then one batch with fence check, state and the
 * message that has it ingested. The same upload again is the same answer; one without the lease changes nothing
 * and leaves nothing behind. Where the batch's outcome is unknown the object stays: it may be accepted, and if not
 * the bucket's sweep takes it. Throws VALIDATION_ERROR for an envelope that is not 1.1, BAD_REQUEST for a
 * body that is other than announced, CONFLICT `lease_lost`.
 */
export async function completeJob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: ReceivedUpload,
): Promise<UploadReply> {
  const { fence, wireId } = addressOf(upload.head)
  const place = jobPlace(ctx, runner, wireId)
  const key = resultKey(place.org, place.jobId, fence, newId('request'))
  await upload.store(ctx.env, key)
  try {
    const held = sql`state = 'leased' AND fence = ${fence} AND lease_until > ${ctx.now}`
    return await acceptUpload(ctx, runner, place, key, held, { fence })
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
    ctx.defer(deleteObjects(ctx.env, place.org, [key]))
    return repeatedUpload(runner, place, fence)
  }
}

function addressOf({ version, fence, scanId }: EnvelopeHead): { fence: number; wireId: string } {
  if (version !== '1.1') {
    const message =
      'must be "1.1", or "1.0" from a sensor: this server takes result envelopes of these versions'
    throw invalid({ path: 'version', message })
  }
  if (typeof fence !== 'number' || !Number.isSafeInteger(fence) || fence < 1) {
    throw invalid({ path: 'fence', message: 'must be the fence of the lease' })
  }
  if (typeof scanId !== 'string') throw invalid({ path: 'scan.id', message: 'must be the job id' })
  return { fence, wireId: scanId }
}

/** What the holder of the fence is told again; everybody else lost the lease. */
async function repeatedUpload(
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  fence: number,
): Promise<UploadReply> {
  const row = await db.first<OfUpload>(uploadOf(org, jobId))
  const isSame = row?.fence === fence && row.credential_id === runner.credentialId && row.result_key !== null
  if (!isSame) throw leaseLost()
  return replyOf(row)
}
