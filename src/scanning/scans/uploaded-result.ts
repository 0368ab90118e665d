import { parseReference } from '../../inventory/images/index.ts'
import { normalizePlatform } from '../../inventory/registries/index.ts'
import { type FoundImage, openForeign, type UnlistedPackages } from '../foreign/index.ts'
import { type OpenBytes, openResult, type ResultSource } from '../results/index.ts'
import { standAloneScanId } from '../stand-alone-id.ts'
import { type JobTerms, resultMismatch } from './result-checks.ts'

export type { FoundImage }

/** An uploaded document as a result, whatever its format. */
export interface UploadedResult {
  source: ResultSource
  /** The manifest that it is about, as far as anybody knows; null when the image could not be pulled. */
  image: FoundImage | null
  /** Packages that only its findings name, to be recognised before it is read; null where it names packages itself. */
  unlisted: UnlistedPackages | null
}

/** The job that was uploaded to. */
export interface UploadTerms extends JobTerms {
  org: number
  jobId: string
  /** Of the index, when the server resolved one. */
  indexDigest: string | null
  /** Engines; empty for an upload without a job. */
  asked: readonly string[]
}

/** A result that ends its scan FAILED, and why. */
export interface RefusedResult {
  refusal: string
}

/** Where a document is of no known format. */
const UNKNOWN = { refusal: 'It is not a result envelope 1.0 or 1.1, or has a part beyond the bounds of one.' }

/**
 * Opens an uploaded document: an envelope 1.1, 1.0, or a legacy body. What a foreign one says of its image counts
 * only where the job's own reference leaves it open. Never throws for what the document says.
 */
export async function openUploaded(
  job: UploadTerms,
  open: OpenBytes,
): Promise<UploadedResult | RefusedResult> {
  const isStandAlone = job.asked.length === 0
  const own = await openResult(open, isStandAlone ? { fence: job.fence } : {})
  if (own) return ownResult(job, own)
  const converted = await openForeign(open, job.asked)
  if (!converted) return UNKNOWN
  const { id, source, image, unlisted } = converted
  if (id !== job.wireId && !(await isOfJob(job, id))) return { refusal: 'It is about another job.' }
  return { source, unlisted, image: foundImage(job, image) }
}

const isOfJob = async ({ org, jobId }: UploadTerms, id: string): Promise<boolean> =>
  (await standAloneScanId(org, id)) === jobId

async function ownResult(job: UploadTerms, source: ResultSource): Promise<UploadedResult | RefusedResult> {
  const { scan, image } = source.head
  const isStandAlone = await isOfJob(job, scan.id)
  const refusal = resultMismatch(isStandAlone ? { ...job, wireId: scan.id } : job, source.head)
  if (refusal !== null) return { refusal }
  const found = image && { ...image, platform: normalizePlatform(image.platform) }
  return { source, image: found, unlisted: null }
}

/** What the server resolved, then what was asked for, then what the result says. */
function foundImage(job: UploadTerms, said: FoundImage): FoundImage {
  const asked = parseReference(job.image)
  const named = asked.ok ? asked.digest : null
  return {
    digest: job.digest ?? named ?? said.digest,
    indexDigest: job.indexDigest,
    platform: job.platform ?? said.platform,
  }
}
