import { createRequire } from 'node:module'
import type { CvssScore, Severity } from './advisory.ts'

// The package is a UMD bundle, whose names Node's ESM loader cannot see.
const { fromVector } = createRequire(import.meta.url)(
  'ae-cvss-calculator',
) as typeof import('ae-cvss-calculator')

/** The vector's version and base score (temporal, threat and environmental metrics left aside). Throws on one that does not parse. */
export function scoreVector(vector: string): CvssScore {
  const parsed = fromVector(vector)
  if (!parsed) throw new Error(`not a CVSS vector: ${vector}`)
  const scores: { base?: number; baseMetricsOnly?: number } = parsed.calculateScores(false)
  const score = scores.baseMetricsOnly ?? scores.base
  if (score === undefined || Number.isNaN(score))
    throw new Error(`CVSS vector without a base score: ${vector}`)
  return { version: /^CVSS:(\d\.\d)\//.exec(vector)?.[1] ?? '2.0', vector, score }
}

/** The qualitative rating of a base score as FIRST's CVSS 3.1 and 4.0 specifications band it; 0 says nothing about severity. */
export function severityOfScore(score: number): Severity {
  if (score >= 9) return 'CRITICAL'
  if (score >= 7) return 'HIGH'
  if (score >= 4) return 'MEDIUM'
  return score > 0 ? 'LOW' : 'UNKNOWN'
}
