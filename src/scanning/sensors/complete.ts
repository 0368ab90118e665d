import type { BaseContext } from '../../context.ts'
import { deleteObjects, putUpload, resultKey } from '../../db/blobs.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { sql } from '../../db/sql.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { invalid, problem } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import { scanOfJob } from '../end-scan.ts'
import { tellViewers } from '../tell-viewers.ts'
import type { EnvelopeHead } from './envelope-head.ts'
import type { UploadReply } from './protocol.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import { type JobPlace, jobPlace, leaseLost, type RunnerIdentity } from './runner-identity.ts'

/**
 * Takes a job's result: stored first under a key of its own, then one batch with fence check, state and the
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
  try {
    return await storeAndAccept(ctx, runner, upload)
  } finally {
    ctx.defer(upload.discard())
  }
}

async function storeAndAccept(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: ReceivedUpload,
): Promise<UploadReply> {
  const { fence, wireId } = addressOf(upload.head)
  const place = jobPlace(ctx, runner, wireId)
  const key = resultKey(place.org, place.jobId, fence, newId('request'))
  await putUpload(ctx.env, key, upload.open()).catch((error: unknown) => {
    throw upload.isBroken() ? problem('BAD_REQUEST', 'The body is not as long as announced') : error
  })
  try {
    return await acceptUpload(ctx, runner, place, fence, key)
  } catch (error) {
    if (!(error instanceof LostRace)) throw error
    ctx.defer(deleteObjects(ctx.env, place.org, [key]))
    return repeatedUpload(runner, place, fence)
  }
}

function addressOf({ version, fence, scanId }: EnvelopeHead): { fence: number; wireId: string } {
  if (version !== '1.1') {
    throw invalid({ path: 'version', message: 'must be "1.1": this server takes result envelopes 1.1 only' })
  }
  if (typeof fence !== 'number' || !Number.isSafeInteger(fence) || fence < 1) {
    throw invalid({ path: 'fence', message: 'must be the fence of the lease' })
  }
  if (typeof scanId !== 'string') throw invalid({ path: 'scan.id', message: 'must be the job id' })
  return { fence, wireId: scanId }
}

async function acceptUpload(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  fence: number,
  key: string,
): Promise<UploadReply> {
  const ingest = promise({ kind: 'scan.ingest', org, scanId: jobId }, ctx.now)
  const actor = { kind: 'sensor', credentialId: runner.credentialId, registryId: runner.registryId } as const
  const results = await db.batch([
    statement(
      `UPDATE jobs SET state = 'uploaded', phase = 'ingesting', progress = max(progress, 90), result_key = ?1,
              uploaded_at = ?2, updated_at = ?2, lease_until = NULL
        WHERE org = ?3 AND id = ?4 AND state = 'leased' AND fence = ?5 AND credential_id = ?6 AND lease_until > ?2`,
      key,
      ctx.now,
      org,
      jobId,
      fence,
      runner.credentialId,
    ),
    EXPECT_ONE_CHANGE,
    ingest.statement,
    auditRow({ ...ctx, actor }, org, 'scan.uploaded', sql`'scan:' || ${scanOfJob(org, jobId)}`, { fence }),
    uploadOf(org, jobId),
  ])
  sendPromised(ctx, [ingest])
  tellViewers(ctx, org, [jobId])
  return replyOf(results.at(-1)!.rows[0])
}

/** What the holder of the fence is told again; everybody else lost the lease. */
async function repeatedUpload(
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  fence: number,
): Promise<UploadReply> {
  const row = await db.first<Record<string, unknown>>(uploadOf(org, jobId))
  const isSame = row?.fence === fence && row.credential_id === runner.credentialId && row.result_key !== null
  if (!isSame) throw leaseLost()
  return replyOf(row)
}

const uploadOf = (org: number, jobId: string): Statement =>
  statement(
    `SELECT s.id, s.image_id, j.fence, j.credential_id, j.result_key FROM jobs j CROSS JOIN scans s
      WHERE j.org = ?1 AND j.id = ?2 AND s.org = ?1 AND s.id = j.scan_id`,
    org,
    jobId,
  )

const replyOf = (row: Record<string, unknown> | undefined): UploadReply => ({
  ok: true,
  scanId: String(row?.id),
  imageId: (row?.image_id as string | null | undefined) ?? null,
})
