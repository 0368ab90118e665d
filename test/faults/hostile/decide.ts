import { Problem } from '../../../src/http/problems.ts'
import { acceptEngines } from '../../../src/risk/findings/accept.ts'
import { perEngine } from '../../../src/risk/findings/engines.ts'
import { DanglingFinding, incomingOf } from '../../../src/risk/findings/incoming.ts'
import type { UnlistedPackages } from '../../../src/scanning/foreign/index.ts'
import { openResult, type ResultSource } from '../../../src/scanning/results/index.ts'
import { namedEngines, outcomeOf, scanEngines } from '../../../src/scanning/scans/engines.ts'
import { enginesAsked } from '../../../src/scanning/scans/result-checks.ts'
import { openUploaded } from '../../../src/scanning/scans/uploaded-result.ts'
import type { EnvelopeHead } from '../../../src/scanning/sensors/envelope-head.ts'
import { receiveUpload } from '../../../src/scanning/sensors/receive-upload.ts'
import { Result } from '../../../src/scanning/sensors/result.ts'
import { storedAs } from '../../scanning/foreign/converted.ts'
import type { Terms } from './envelope.ts'
import type { Format } from './formats.ts'

const ASKED = ['trivy', 'grype', 'syft']

type KnownPackages = Parameters<UnlistedPackages['adopt']>[0]

/**
 * What the layers without storage make of an upload. `result` is what an accepted one says, whatever its format, about
 * an artifact that is known to have these packages.
 */
export interface Decision {
  verdict: 'refused' | 'elsewhere' | 'invalid' | 'failed' | 'dangling' | 'accepted'
  result: ((known: KnownPackages) => Promise<Result>) | null
}

const only = (verdict: Decision['verdict']): Decision => ({ verdict, result: null })

/** Leads an upload through every layer that needs no storage; whatever they throw that is no answer goes through. */
export async function decide(text: string, terms: Terms, format: Format): Promise<Decision> {
  const bytes = new TextEncoder().encode(text)
  const headers = { 'Content-Length': String(bytes.length) }
  const request = new Request('https://api.test/api/scans/upload', { method: 'POST', body: bytes, headers })
  try {
    const upload = await receiveUpload(request)
    await upload.discard()
    const address = addressed(upload.head, terms, format)
    if (address !== null) return only(address)
  } catch (error) {
    if (error instanceof Problem && error.status < 500) return only('refused')
    throw error
  }
  return decideDocument(text, terms, format)
}

/** Where the head says that an upload belongs, when that is not its job. */
function addressed(
  head: EnvelopeHead,
  { wireId, fence: held }: Terms,
  { isPlain }: Format,
): Decision['verdict'] | null {
  const { version, fence, scanId, requestId } = head
  const isLeased = version === '1.1' && fence === held && scanId === wireId
  if (!isPlain) return isLeased ? null : 'refused'
  const isForeign = version === '1.0' || (version === undefined && requestId !== undefined)
  return isForeign && (scanId ?? requestId) === wireId ? null : 'elsewhere'
}

async function decideDocument(text: string, terms: Terms, { isPlain }: Format): Promise<Decision> {
  const open = storedAs(text)
  if (!isPlain) await expectSchemaVerdict(text, (await openResult(open)) !== null)
  const resolved = isPlain
    ? { digest: null, platform: null }
    : { digest: terms.digest, platform: 'linux/amd64' }
  const job = { ...terms, ...resolved, image: terms.ref, org: 1, jobId: '', indexDigest: null, asked: ASKED }
  const uploaded = await openUploaded(job, open)
  if ('refusal' in uploaded) return only('invalid')
  const { source, image, unlisted } = uploaded
  const { head } = source
  const outcome = outcomeOf(scanEngines(namedEngines(ASKED, head.engines), head.engines, []), {
    ...head,
    image,
  })
  if (outcome.kind === 'failed' || image === null) return only('failed')
  const never = perEngine(() => ({ build: null, scannedAt: null }))
  const engines = enginesAsked(ASKED, head)
  const acceptance = acceptEngines({ engines }, never, Date.now(), Date.now())
  try {
    await incomingOf(source, acceptance)
  } catch (error) {
    if (error instanceof DanglingFinding) return only('dangling')
    throw error
  }
  const result = async (known: KnownPackages) => {
    unlisted?.adopt(known)
    return Result.parse(await whole(source))
  }
  return { verdict: 'accepted', result }
}

const MAX_DEPTH = 100 // containers in each other: more are no result, whatever the schema says

/** The reader in slices finds what the schema finds in the whole document. */
async function expectSchemaVerdict(text: string, isResult: boolean): Promise<void> {
  if ((fits(text) && depthOf(text) <= MAX_DEPTH) !== isResult)
    throw new Error(`read in slices it is ${isResult ? 'a result' : 'none'}, as a whole not so`)
}

/** How many containers of a valid document are in each other at most. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0]
  for (const [bracket] of text.replace(/"(?:[^"\\]|\\.)*"/g, '').matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1
    deepest = Math.max(deepest, depth)
  }
  return deepest
}

function fits(text: string): boolean {
  try {
    return Result.safeParse(
      JSON.parse(
        new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(new TextEncoder().encode(text)),
      ),
    ).success
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return false
    throw error
  }
}

async function whole(source: ResultSource): Promise<unknown> {
  const [packages, vulnerabilities, findings] = await Promise.all([
    all(source.packages()),
    all(source.vulnerabilities()),
    all(source.findings()),
  ])
  return { ...source.head, packages, vulnerabilities, findings }
}

async function all<T>(slices: AsyncIterable<readonly T[]>): Promise<T[]> {
  const list: T[] = []
  for await (const slice of slices) list.push(...slice)
  return list
}
