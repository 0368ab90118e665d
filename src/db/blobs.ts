import type { Env } from '../env.ts'
import { reaching, StorageUnavailable } from './storage-unavailable.ts'

/** The R2 prefix of an organization: everything it owns lies below, and nothing of anybody else. */
const prefix = (org: number): string => `orgs/${org}/`

/** Where a content-addressed blob of an organization lies. */
export const blobKey = (org: number, sha256: string): string => `${prefix(org)}sha256/${sha256}`

/** Where the result envelopes of an organization lie: the job's id, then one upload. */
export const resultKeyPrefix = (org: number): string => `${prefix(org)}results/`

/** Where one accepted or refused upload of a job's result envelope lies: never written twice. */
export const resultKey = (org: number, jobId: string, fence: number, upload: string): string =>
  `${resultKeyPrefix(org)}${jobId}/${fence}-${upload}`

const isInside = (org: number, key: string): boolean => key.startsWith(prefix(org))

/** Thrown when the body's SHA-256 or length is not what was announced. Nothing was stored. */
export class DigestMismatch extends Error {
  constructor(cause: unknown) {
    super('digest mismatch', { cause })
    this.name = 'DigestMismatch'
  }
}

/** Stores a blob once. R2 checks the SHA-256; an object that is there already is left as it is. */
export async function putBlobObject(
  env: Env,
  org: number,
  sha256: string,
  body: ReadableStream | ArrayBuffer,
  mediaType: string,
): Promise<'stored' | 'exists'> {
  try {
    const object = await env.ARTIFACTS.put(blobKey(org, sha256), body, {
      onlyIf: { etagDoesNotMatch: '*' },
      sha256,
      httpMetadata: { contentType: mediaType },
    })
    return object ? 'stored' : 'exists'
  } catch (error) {
    if (/checksum|SHA-256|sha256/i.test(String(error))) throw new DigestMismatch(error)
    throw new StorageUnavailable('bucket', error)
  }
}

/** Stores an upload under a key of its own. `body` is a stream of known length or the bytes. */
export async function putUpload(env: Env, key: string, body: ReadableStream | ArrayBuffer): Promise<void> {
  await reaching(
    'bucket',
    env.ARTIFACTS.put(key, body, { httpMetadata: { contentType: 'application/json' } }),
  )
}

const PART_BYTES = 8 * 1024 * 1024 // R2 takes parts from 5 MB, all but the last of one size

/** Stores an upload of unknown length in parts, of which one is held in memory. Nothing is left where it fails. */
export async function putUploadInParts(
  env: Env,
  key: string,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const httpMetadata = { contentType: 'application/json' }
  const upload = await reaching('bucket', env.ARTIFACTS.createMultipartUpload(key, { httpMetadata }))
  const stored: R2UploadedPart[] = []
  const store = async (part: Uint8Array<ArrayBuffer>) => {
    stored.push(await reaching('bucket', upload.uploadPart(stored.length + 1, part)))
  }
  try {
    let part = new Uint8Array(PART_BYTES)
    let filled = 0
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.byteLength; ) {
        const taken = Math.min(PART_BYTES - filled, chunk.byteLength - at)
        part.set(chunk.subarray(at, at + taken), filled)
        filled += taken
        at += taken
        if (filled < PART_BYTES) continue
        await store(part)
        part = new Uint8Array(PART_BYTES)
        filled = 0
      }
    }
    if (filled > 0) await store(part.subarray(0, filled))
    await reaching('bucket', upload.complete(stored))
  } catch (error) {
    await upload.abort().catch(() => {})
    throw error
  }
}

/** An object of the organization, or a part of it, or null. A key outside its prefix is never read. */
export async function readObject(
  env: Env,
  org: number,
  key: string,
  range?: { offset: number; length: number },
): Promise<R2ObjectBody | null> {
  return isInside(org, key) ? reaching('bucket', env.ARTIFACTS.get(key, range && { range })) : null
}

/** Deletes objects of one organization, at most 1000 in a call. Keys outside its prefix are left alone. */
export async function deleteObjects(env: Env, org: number, keys: readonly string[]): Promise<void> {
  const own = keys.filter((key) => isInside(org, key)).slice(0, 1000)
  if (own.length > 0) await reaching('bucket', env.ARTIFACTS.delete(own))
}

export interface StoredObject {
  org: number
  key: string
}

/** Objects in the order of their keys, behind `after`; `last` is null at the bucket's end. Only those stored before `until`. */
export async function objectsBehind(
  env: Env,
  after: string | null,
  until: number,
  limit: number,
): Promise<{ objects: StoredObject[]; last: string | null }> {
  const page = await reaching(
    'bucket',
    env.ARTIFACTS.list({ prefix: 'orgs/', limit, ...(after === null ? {} : { startAfter: after }) }),
  )
  const old = page.objects.filter(({ uploaded }) => uploaded.getTime() < until)
  const objects = old.map(({ key }) => ({ org: Number(key.split('/')[1]), key }))
  return { objects, last: page.truncated ? page.objects.at(-1)!.key : null }
}
