import { parseReference } from '../../inventory/images/index.ts'
import { normalizePlatform } from '../../inventory/registries/index.ts'
import type { ResultHead } from '../results/index.ts'
import { FINDING_ENGINES } from '../sensors/result.ts'

/** What a job names: all that its result may be about. */
export interface JobTerms {
  wireId: string
  fence: number
  /** The reference that was asked for. */
  image: string
  /** Of the manifest, when the server resolved it. */
  digest: string | null
  platform: string | null
}

/** The engines whose words count: those asked for, and what only lists packages, since grype reads syft's list. */
export const enginesAsked = (asked: readonly string[], { engines }: ResultHead): ResultHead['engines'] =>
  engines.filter(({ name }) => asked.includes(name) || !(FINDING_ENGINES as readonly string[]).includes(name))

/** Why a result is not about its job; null when it is. A result changes only what its job names. */
export function resultMismatch(job: JobTerms, result: ResultHead): string | null {
  if (result.scan.id !== job.wireId) return 'It is about another job.'
  if (result.fence !== job.fence) return 'It has the fence of another lease.'
  const { image } = result
  if (image === null) return null
  if (job.digest !== null && image.digest !== job.digest) return 'It is about another digest.'
  if (job.platform !== null && normalizePlatform(image.platform) !== job.platform) {
    return 'It is about another platform.'
  }
  const asked = parseReference(job.image)
  const named = asked.ok ? asked.digest : null
  if (job.digest === null && named !== null && named !== image.digest && named !== image.indexDigest) {
    return 'It is about another digest than the one asked for.'
  }
  return normalizePlatform(image.platform) === null ? 'Its platform is not one.' : null
}
