import type { BaseContext } from '../../context.ts'
import { invalid } from '../../http/problems.ts'
import { parseJobWireId } from '../../ids.ts'
import { addressedUpload } from './addressed-upload.ts'
import { completeJob } from './complete.ts'
import { completeUnfenced } from './complete-unfenced.ts'
import type { EnvelopeHead } from './envelope-head.ts'
import type { UploadReply } from './protocol.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import type { RunnerIdentity } from './runner-identity.ts'
import { takeStandAlone } from './stand-alone.ts'

export interface UploadAnswer {
  status: 200 | 201
  reply: UploadReply
}

/**
 * Takes an uploaded result: an envelope 1.1 for the lease that it names; an envelope 1.0, or a body from before
 * envelopes had versions, for the job that this key claimed and it names; a stand-alone one where it names none. The
 * body is read to its end before anything is answered. Throws VALIDATION_ERROR for what is none of these.
 */
export async function takeUpload(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: ReceivedUpload,
): Promise<UploadAnswer> {
  let addressed = upload
  try {
    if (runner.org !== null) addressed = await addressedUpload(ctx, runner.org, upload)
    return await take(ctx, runner, addressed)
  } finally {
    await upload.discard()
    if (addressed !== upload) await addressed.discard()
  }
}

async function take(ctx: BaseContext, runner: RunnerIdentity, upload: ReceivedUpload): Promise<UploadAnswer> {
  const { version, scanId, requestId } = upload.head
  const isPlain = version === '1.0' || (version === undefined && requestId !== undefined)
  if (isOwnStandAlone(upload.head) && runner.org !== null) return takeStandAlone(ctx, runner, upload)
  if (!isPlain || runner.org === null) return { status: 200, reply: await completeJob(ctx, runner, upload) }
  const id = scanId ?? requestId
  if (typeof id !== 'string' || id === '') throw invalid({ path: 'scan.id', message: 'must be the job id' })
  const reply = await completeUnfenced(ctx, runner, upload, id)
  return reply ? { status: 200, reply } : takeStandAlone(ctx, runner, upload)
}

/** An envelope 1.1 without a fence is of no lease; one that names a job has to have it. */
const isOwnStandAlone = ({ version, fence, scanId }: EnvelopeHead): boolean =>
  version === '1.1' && fence === undefined && typeof scanId === 'string' && parseJobWireId(scanId) === null
