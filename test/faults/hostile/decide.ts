import { Problem } from '../../../src/http/problems.ts'
import { acceptEngines } from '../../../src/risk/findings/accept.ts'
import { perEngine } from '../../../src/risk/findings/engines.ts'
import { DanglingFinding, incomingOf } from '../../../src/risk/findings/incoming.ts'
import { openResult } from '../../../src/scanning/results/index.ts'
import { outcomeOf, scanEngines } from '../../../src/scanning/scans/engines.ts'
import { resultMismatch } from '../../../src/scanning/scans/result-checks.ts'
import { receiveUpload } from '../../../src/scanning/sensors/receive-upload.ts'
import type { Terms } from './envelope.ts'

const ASKED = ['trivy', 'grype', 'syft']

/** What the layers without storage make of an upload; whatever they throw that is no answer goes through. */
export async function decide(text: string, terms: Terms): Promise<string> {
  const bytes = new Uint8Array(new TextEncoder().encode(text))
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
  return decideDocument(text, terms)
}

async function decideDocument(text: string, terms: Terms): Promise<string> {
  const result = await openResult(async () => new Response(text).body!)
  if (!result) return 'invalid'
  const { head } = result
  const job = { ...terms, image: `registry.test/team/app@${terms.digest}`, platform: 'linux/amd64' }
  if (resultMismatch(job, head) !== null) return 'mismatch'
  const outcome = outcomeOf(scanEngines(ASKED, head.engines, []), head)
  if (outcome.kind === 'failed') return 'failed'
  const never = perEngine(() => ({ build: null, scannedAt: null }))
  const acceptance = acceptEngines(head, never, Date.now(), Date.now())
  try {
    await incomingOf(result, acceptance)
  } catch (error) {
    if (error instanceof DanglingFinding) return 'dangling'
    throw error
  }
  return 'accepted'
}
