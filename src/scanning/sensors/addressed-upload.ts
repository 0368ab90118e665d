import type { BaseContext } from '../../context.ts'
import { deleteObjects, putUpload, readObject, resultKey } from '../../db/blobs.ts'
import { newId } from '../../ids.ts'
import { isAddressed } from './envelope-head.ts'
import { MemberScanner } from './member-scanner.ts'
import type { ReceivedUpload } from './receive-upload.ts'

/**
 * The upload with what says where it belongs. A large one that does not say it at its beginning is stored aside, read
 * through, and passed on from there; what was stored aside goes with `discard`, or with the bucket's sweep.
 */
export async function addressedUpload(
  ctx: BaseContext,
  org: number,
  upload: ReceivedUpload,
): Promise<ReceivedUpload> {
  if (upload.isComplete || isAddressed(upload.head)) return upload
  const aside = resultKey(org, 'aside', 0, newId('request'))
  await upload.store(ctx.env, aside)
  const scanner = new MemberScanner()
  const stored = await objectAt(ctx, org, aside)
  for await (const chunk of stored.body as ReadableStream<Uint8Array>) scanner.add(chunk)
  return {
    head: scanner.head,
    isComplete: true,
    length: stored.size,
    store: async (env, key) => putUpload(env, key, (await objectAt(ctx, org, aside)).body),
    discard: async () => ctx.defer(deleteObjects(ctx.env, org, [aside])),
  }
}

async function objectAt({ env }: BaseContext, org: number, key: string): Promise<R2ObjectBody> {
  const object = await readObject(env, org, key)
  if (!object) throw new Error('what was stored aside is gone')
  return object
}
