import { parseReference } from '../../inventory/images/index.ts'
import { normalizePlatform } from '../../inventory/registries/index.ts'
import { type ConvertedResult, convertEnvelope, convertLegacy, type FoundImage } from '../foreign/index.ts'
import { Result } from '../sensors/result.ts'
import { standAloneScanId } from '../stand-alone-id.ts'
import { type JobTerms, resultMismatch } from './result-checks.ts'

/** An uploaded document as a result, whatever its format. */
export interface UploadedResult {
  result: Result
  /** The manifest that it is about, as far as anybody knows; null when the image could not be pulled. */
  image: FoundImage | null
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

/** Where a document of no known format is not a result. */
const UNKNOWN = { refusal: 'It is not a result envelope 1.0 or 1.1.' }

/**
 * Reads an uploaded document: an envelope 1.1, 1.0, or a legacy body. What a foreign one says of its image counts
 * only where the job's own reference leaves it open. Never throws for what the document says.
 */
export async function uploadedResult(
  job: UploadTerms,
  text: string,
): Promise<UploadedResult | RefusedResult> {
  const document = parse(text)
  const version = memberOf(document, 'version')
  if (version === '1.1') return ownResult(job, document)
  const bytes = text.length
  const converted =
    version === '1.0'
      ? await convertEnvelope(document, listsOf(document, bytes), job.asked)
      : convertLegacy(document, job.asked, bytes)
  if (!converted) return UNKNOWN
  if (converted.id !== job.wireId && (await standAloneScanId(job.org, converted.id)) !== job.jobId) {
    return { refusal: 'It is about another job.' }
  }
  return { result: await inMemory(converted), image: foundImage(job, converted.image) }
}

export type { FoundImage }

async function ownResult(job: UploadTerms, document: unknown): Promise<UploadedResult | RefusedResult> {
  const id = memberOf(memberOf(document, 'scan'), 'id')
  const isStandAlone = typeof id === 'string' && (await standAloneScanId(job.org, id)) === job.jobId
  const given = isStandAlone ? { ...(document as object), fence: job.fence } : document
  const { data: result } = Result.safeParse(given)
  if (!result) return UNKNOWN
  const refusal = resultMismatch(isStandAlone ? { ...job, wireId: id } : job, result)
  if (refusal !== null) return { refusal }
  const { image } = result
  return { result, image: image && { ...image, platform: normalizePlatform(image.platform) } }
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

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined

function listsOf(document: unknown, bytes: number) {
  const findings = memberOf(document, 'findings')
  const list = (name: string) => {
    const records = memberOf(findings, name)
    return async function* () {
      yield Array.isArray(records) ? records : []
    }
  }
  return { packages: list('packages'), vulnerabilities: list('vulnerabilities'), bytes }
}

async function inMemory({ source }: ConvertedResult): Promise<Result> {
  return {
    ...source.head,
    packages: await all(source.packages()),
    vulnerabilities: await all(source.vulnerabilities()),
    findings: await all(source.findings()),
  }
}

async function all<T>(slices: AsyncIterable<readonly T[]>): Promise<T[]> {
  const list: T[][] = []
  for await (const slice of slices) list.push([...slice])
  return list.flat()
}
