import type { Context } from '../../context.ts'
import { readObject } from '../../db/blobs.ts'
import { LostRace, statement } from '../../db/database.ts'
import { jobWireId } from '../../ids.ts'
import { DanglingFinding, ingestResult, linkedPackages, UnknownArtifact } from '../../risk/findings/index.ts'
import { auditEnd } from '../end-scan.ts'
import { reason, type ScanReason } from '../reasons.ts'
import type { OpenBytes, ResultHead } from '../results/index.ts'
import { tellViewers } from '../tell-viewers.ts'
import { namedEngines, outcomeOf, type ScanEngine, scanEngines, skippedEngine } from './engines.ts'
import { completeScan, type FinishedScan, failScanWithResult, type NamedBlob } from './finish.ts'
import { placeOfResult } from './place-of-result.ts'
import { enginesAsked } from './result-checks.ts'
import { openUploaded, type RefusedResult, type UploadedResult } from './uploaded-result.ts'

/** A job with an accepted upload, and its scan. */
export interface UploadedJob {
  job_id: string
  scan_id: string
  fence: number
  result_key: string
  uploaded_at: number
  registry_id: string
  image: string
  repository: string
  tag: string | null
  image_id: string | null
  tag_id: string | null
  artifact: number | null
  digest: string | null
  index_digest: string | null
  platform: string | null
  scanners: string
}

interface UploadedBlob {
  sha256: string
  size: number
}

/**
 * Applies an uploaded result: findings, the scan's end and that of its followers, in one batch. Running it
 * again changes nothing. A result that cannot be used ends the scan FAILED and leaves every finding as it is.
 * Throws what the queue should try again.
 */
export async function ingestScan(ctx: Context, jobId: string): Promise<void> {
  const { job, blobs } = await uploadedJob(ctx, jobId)
  if (!job) return
  const uploaded = await openUploaded(termsOf(ctx, job), storedBytes(ctx, job.result_key))
  try {
    await applyResult(ctx, job, blobs, uploaded)
    tellViewers(ctx, ctx.organization.num, [jobId, job.scan_id])
  } catch (error) {
    if (error instanceof LostRace && !(await uploadedJob(ctx, jobId)).job) return
    throw error
  }
}

async function uploadedJob(
  ctx: Context,
  jobId: string,
): Promise<{ job: UploadedJob | null; blobs: UploadedBlob[] }> {
  const [jobs, blobs] = await ctx.db.batch([
    statement(
      `SELECT j.id AS job_id, j.scan_id, j.fence, j.result_key, j.uploaded_at, j.registry_id, s.image, s.repository,
              s.tag, s.image_id, s.tag_id, s.artifact, s.digest, s.index_digest, s.platform, s.scanners
         FROM jobs j CROSS JOIN scans s
        WHERE j.org = ?1 AND j.id = ?2 AND j.state = 'uploaded' AND s.org = ?1 AND s.id = j.scan_id`,
      ctx.organization.num,
      jobId,
    ),
    statement(
      `SELECT b.sha256, b.size FROM jobs j CROSS JOIN scan_blobs b
        WHERE j.org = ?1 AND j.id = ?2 AND b.org = ?1 AND b.scan_id = j.scan_id`,
      ctx.organization.num,
      jobId,
    ),
  ])
  return {
    job: (jobs!.rows[0] as UploadedJob | undefined) ?? null,
    blobs: blobs!.rows as unknown as UploadedBlob[],
  }
}

const storedBytes =
  (ctx: Context, key: string): OpenBytes =>
  async (range) => {
    const object = await readObject(ctx.env, ctx.organization.num, key, range)
    if (!object) throw new Error('the uploaded result is not in the bucket')
    return object.body
  }

const askedOf = ({ scanners }: UploadedJob) => JSON.parse(scanners) as string[]

function termsOf(ctx: Context, job: UploadedJob) {
  const org = ctx.organization.num
  const { fence, image, digest, platform } = job
  const wireId = jobWireId(ctx.organization.shard, org, job.job_id)
  const said = { fence, image, digest, platform, indexDigest: job.index_digest }
  return { ...said, wireId, org, jobId: job.job_id, asked: askedOf(job) }
}

async function applyResult(
  ctx: Context,
  job: UploadedJob,
  blobs: readonly UploadedBlob[],
  uploaded: UploadedResult | RefusedResult,
): Promise<void> {
  if ('refusal' in uploaded) {
    const engines = askedOf(job).map(skippedEngine)
    return fail(ctx, finished(ctx, job, engines, {}, []), reason('result_invalid', uploaded.refusal))
  }
  const { source, image } = uploaded
  const { head } = source
  const asked = namedEngines(askedOf(job), head.engines)
  const engines = scanEngines(asked, head.engines, [])
  const scan = finished(ctx, job, engines, namedBlobs(head, blobs), head.logs)
  const outcome = outcomeOf(engines, { scan: head.scan, image })
  if (outcome.kind === 'failed' || image === null) {
    return fail(ctx, scan, outcome.kind === 'failed' ? outcome.reason : reason('runner_error'))
  }
  const place = await placeOfResult(ctx, job, image)
  if (!place) return fail(ctx, scan, reason('registry_removed'))
  const names = uploaded.unlisted?.names() ?? []
  if (names.length > 0) uploaded.unlisted!.adopt(await linkedPackages(ctx, place.artifact, names))
  try {
    await ingestResult(ctx, {
      artifact: place.artifact,
      scanId: job.scan_id,
      scannedAt: job.uploaded_at,
      result: { ...source, head: { ...head, engines: enginesAsked(asked, head) } },
      finish: ({ refused }) => {
        const shown = scanEngines(asked, head.engines, refused)
        return completeScan({ ...scan, engines: shown }, { ...place, partial: outcome.partial })
      },
    })
  } catch (error) {
    if (error instanceof DanglingFinding) return fail(ctx, scan, reason('result_invalid', error.message))
    if (error instanceof UnknownArtifact) return fail(ctx, scan, reason('registry_removed'))
    throw error
  }
}

async function fail(ctx: Context, scan: FinishedScan, why: ScanReason): Promise<void> {
  await ctx.db.batch([
    ...failScanWithResult(scan, why),
    auditEnd(ctx, scan.org, scan.scanId, { status: 'FAILED', reason: why }),
  ])
}

const finished = (
  ctx: Context,
  job: UploadedJob,
  engines: readonly ScanEngine[],
  blobs: Record<string, NamedBlob>,
  logs: readonly string[],
): FinishedScan => ({
  org: ctx.organization.num,
  jobId: job.job_id,
  scanId: job.scan_id,
  fence: job.fence,
  now: ctx.now,
  uploadedAt: job.uploaded_at,
  engines,
  blobs,
  resultKey: job.result_key,
  logs,
})

/** The blobs a result names, of those that this scan uploaded: no other scan's content is reached by its digest. */
function namedBlobs(result: ResultHead, uploaded: readonly UploadedBlob[]): Record<string, NamedBlob> {
  const sizes = new Map(uploaded.map(({ sha256, size }) => [sha256, size]))
  const named = [
    ...result.engines.flatMap(({ name, raw }) =>
      raw ? [[`raw/${name}`, raw.sha256, 'application/json'] as const] : [],
    ),
    ...result.sboms.map(({ format, sha256, mediaType }) => [`sbom/${format}`, sha256, mediaType] as const),
  ]
  return Object.fromEntries(
    named.flatMap(([kind, sha256, mediaType]) => {
      const size = sizes.get(sha256)
      return size === undefined ? [] : [[kind, { sha256, size, mediaType }]]
    }),
  )
}
