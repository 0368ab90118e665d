import { Problem } from '../../../src/http/problems.ts'
import { acceptEngines } from '../../../src/risk/findings/accept.ts'
import { perEngine } from '../../../src/risk/findings/engines.ts'
import { advisoryDigests, DanglingFinding, incomingOf } from '../../../src/risk/findings/incoming.ts'
import { outcomeOf, scanEngines } from '../../../src/scanning/scans/engines.ts'
import { resultMismatch } from '../../../src/scanning/scans/result-checks.ts'
import { receiveUpload } from '../../../src/scanning/sensors/receive-upload.ts'
import { Result } from '../../../src/scanning/sensors/result.ts'
import type { Terms } from './envelope.ts'

const ASKED = ['trivy', 'grype', 'syft']

/** What the layers without storage make of an upload; whatever they throw that is no answer goes through. */
export async function decide(text: string, terms: Terms): Promise<string> {
  const bytes = new TextEncoder().encode(text)
  const request = new Request('https://api.test/api/scans/upload', {
    method: 'POST',
    body: bytes,
    headers: { 'Content-Length': String(bytes.length) },
  })
  try {
    const upload = await receiveUpload(request)
    await upload.discard()
    const { version, fence, scanId } = upload.head
    if (version !== '1.1' || !Number.isSafeInteger(fence) || typeof scanId !== 'string') return 'refused'
  } catch (error) {
    if (error instanceof Problem && error.status < 500) return 'refused'
    throw error
  }
  return decideDocument(new TextDecoder().decode(bytes), terms)
}

async function decideDocument(text: string, terms: Terms): Promise<string> {
  const result = parsed(text)
  if (!result) return 'invalid'
  const job = { ...terms, image: `registry.test/team/app@${terms.digest}`, platform: 'linux/amd64' }
  if (resultMismatch(job, result) !== null) return 'mismatch'
  const outcome = outcomeOf(scanEngines(ASKED, result.engines, []), result)
  if (outcome.kind === 'failed') return 'failed'
  const never = perEngine(() => ({ build: null, scannedAt: null }))
  const acceptance = acceptEngines(result, never, Date.now(), Date.now())
  try {
    incomingOf(result, acceptance)
  } catch (error) {
    if (error instanceof DanglingFinding) return 'dangling'
    throw error
  }
  await advisoryDigests(result)
  return 'accepted'
}

function parsed(text: string): Result | null {
  try {
    return Result.safeParse(JSON.parse(text)).data ?? null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null
    throw error
  }
}
