import type { BaseContext } from '../../context.ts'
import { blobKey, DigestMismatch, putBlobObject } from '../../db/blobs.ts'
import { statement } from '../../db/database.ts'
import { problem } from '../../http/problems.ts'
import { announcedBody } from './announced-body.ts'
import { MAX_BLOB_BYTES } from './protocol.ts'
import { jobPlace, leaseLost, type RunnerIdentity } from './runner-identity.ts'

const MAX_BLOBS = 32 // of one scan: six engines, four SBOMs, and as many again
const MEDIA_TYPE = /^[\w.+-]{1,64}\/[\w.+-]{1,100}(?:;[ \w.+=-]{1,100})?$/

export interface BlobUpload {
  wireId: string
  fence: number
  sha256: string
  /** Bytes, as `Content-Length` says. */
  size: number | null
  mediaType: string
  body: ReadableStream | null
}

/**
 * Stores one blob of a leased job, once, inside the organization's own prefix; R2 checks its SHA-256. That the
 * scan names it is written first, so that no deletion takes it away. The same blob again is the same answer.
 */
export async function putBlob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  upload: BlobUpload,
): Promise<'stored' | 'exists'> {
  const { size, body, sha256 } = upload
  if (size === null || !body) throw problem('BAD_REQUEST', 'Content-Length and a body are required')
  if (size > MAX_BLOB_BYTES) throw problem('PAYLOAD_TOO_LARGE', `A blob has at most ${MAX_BLOB_BYTES} bytes`)
  const org = await nameBlob(ctx, runner, upload, size)
  const mediaType = MEDIA_TYPE.test(upload.mediaType) ? upload.mediaType : 'application/octet-stream'
  const announced = announcedBody(body.getReader(), size)
  try {
    return await putBlobObject(ctx.env, org, sha256, announced.stream, mediaType)
  } catch (error) {
    if (!(error instanceof DigestMismatch || announced.isBroken())) throw error
    throw problem('BAD_REQUEST', 'The body does not have this SHA-256', { detail: 'digest_mismatch' })
  } finally {
    ctx.defer(announced.release())
  }
}

/** One statement checks lease, fence and number, and names the blob. */
async function nameBlob(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { wireId, fence, sha256 }: BlobUpload,
  size: number,
): Promise<number> {
  const { db, org, jobId } = jobPlace(ctx, runner, wireId)
  const held = `FROM jobs j WHERE j.org = ?1 AND j.id = ?2 AND j.state = 'leased' AND j.fence = ?3
    AND j.credential_id = ?4 AND j.lease_until > ?5`
  const holder = [org, jobId, fence, runner.credentialId, ctx.now] as const
  const [check, , named] = await db.batch([
    statement(
      `SELECT EXISTS (SELECT 1 FROM blob_deletions WHERE org = ?1 AND object_key = ?6) AS leaving ${held}`,
      ...holder,
      blobKey(org, sha256),
    ),
    statement(
      `INSERT INTO scan_blobs (org, scan_id, sha256, size, created_at)
       SELECT ?1, j.scan_id, ?6, ?7, ?5 ${held}
         AND NOT EXISTS (SELECT 1 FROM blob_deletions WHERE org = ?1 AND object_key = ?9)
         AND (SELECT count(*) FROM scan_blobs b WHERE b.org = ?1 AND b.scan_id = j.scan_id) < ?8
       ON CONFLICT (org, scan_id, sha256) DO NOTHING`,
      ...holder,
      sha256,
      size,
      MAX_BLOBS,
      blobKey(org, sha256),
    ),
    statement(
      `SELECT 1 FROM jobs j CROSS JOIN scan_blobs b
        WHERE j.org = ?1 AND j.id = ?2 AND b.org = ?1 AND b.scan_id = j.scan_id AND b.sha256 = ?3`,
      org,
      jobId,
      sha256,
    ),
  ])
  if (check!.rows.length === 0) throw leaseLost()
  if (check!.rows[0]!.leaving === 1) {
    throw problem('SERVICE_UNAVAILABLE', 'This blob is being deleted', { headers: { 'Retry-After': '5' } })
  }
  if (named!.rows.length === 0) throw problem('BAD_REQUEST', `A scan has at most ${MAX_BLOBS} blobs`)
  return org
}
