import type { BaseContext } from '../../context.ts'
import { EXPECT_ONE_CHANGE, type Statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { sql } from '../../db/sql.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { scanOfJob } from '../end-scan.ts'
import { tellViewers } from '../tell-viewers.ts'
import type { UploadReply } from './protocol.ts'
import type { JobPlace, RunnerIdentity } from './runner-identity.ts'

/** What an upload is answered from. */
export interface OfUpload {
  id: string
  image_id: string | null
  fence: number
  credential_id: string | null
  result_key: string | null
}

/**
 * One batch: the stored result becomes the job's while `held` is true of it and the key claimed it, and its ingest
 * is promised. Throws LostRace when it is not, and then nothing changed.
 */
export async function acceptUpload(
  ctx: BaseContext,
  runner: RunnerIdentity,
  { db, org, jobId }: JobPlace,
  key: string,
  held: Statement,
  details: Record<string, number> = {},
): Promise<UploadReply> {
  const ingest = promise({ kind: 'scan.ingest', org, scanId: jobId }, ctx.now)
  const actor = { kind: 'sensor', credentialId: runner.credentialId, registryId: runner.registryId } as const
  const results = await db.batch([
    sql`UPDATE jobs SET state = 'uploaded', phase = 'ingesting', progress = max(progress, 90), result_key = ${key},
               uploaded_at = ${ctx.now}, updated_at = ${ctx.now}, lease_until = NULL, receiving_until = NULL
         WHERE org = ${org} AND id = ${jobId} AND credential_id = ${runner.credentialId} AND ${held}`,
    EXPECT_ONE_CHANGE,
    ingest.statement,
    auditRow({ ...ctx, actor }, org, 'scan.uploaded', sql`'scan:' || ${scanOfJob(org, jobId)}`, details),
    uploadOf(org, jobId),
  ])
  sendPromised(ctx, [ingest])
  tellViewers(ctx, org, [jobId])
  return replyOf(results.at(-1)!.rows[0] as unknown as OfUpload)
}

export const uploadOf = (org: number, jobId: string): Statement =>
  sql`SELECT s.id, s.image_id, j.fence, j.credential_id, j.result_key FROM jobs j CROSS JOIN scans s
       WHERE j.org = ${org} AND j.id = ${jobId} AND s.org = ${org} AND s.id = j.scan_id`

export const replyOf = ({ id, image_id }: OfUpload): UploadReply => ({
  ok: true,
  scanId: id,
  imageId: image_id,
})
