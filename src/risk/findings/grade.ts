/** Findings of an artifact by severity, and the sum and number of its CVSS scores (sum in tenths). */
export interface Counts {
  critical: number
  high: number
  medium: number
  low: number
  unknown: number
  cvssSum: number
  cvssCount: number
}

export type Grade = 'A' | 'B' | 'C' | 'D'

export const noCounts = (): Counts => ({
  critical: 0,
  high: 0,
  medium: 0,
  low: 0,
  unknown: 0,
  cvssSum: 0,
  cvssCount: 0,
})

const BY_SEVERITY = ['unknown', 'low', 'medium', 'high', 'critical'] as const

/** Adds one finding. `severity` 0 UNKNOWN … 4 CRITICAL, `cvss` in tenths. */
export function countFinding(counts: Counts, severity: number, cvss: number | null): void {
  counts[BY_SEVERITY[severity] ?? 'unknown']++
  if (cvss !== null) {
    counts.cvssSum += cvss
    counts.cvssCount++
  }
}

/** Adds the numbers of other findings. */
export function addCounts(counts: Counts, more: Counts): void {
  for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] += more[name]
}

/** The rule table: any critical D, more than three highs C, a high B, else A. */
export function gradeOf({ critical, high }: Pick<Counts, 'critical' | 'high'>): Grade {
  if (critical >= 1) return 'D'
  if (high > 3) return 'C'
  return high >= 1 ? 'B' : 'A'
}

/** 0 to 100, lower is better: min(100, round(25C + 10H + 3M + 1L + 5·average CVSS)), averaged over findings with a score. */
export function riskOf(counts: Counts): number {
  const average = counts.cvssCount === 0 ? 0 : counts.cvssSum / 10 / counts.cvssCount
  const score = 25 * counts.critical + 10 * counts.high + 3 * counts.medium + counts.low + 5 * average
  return Math.min(100, Math.round(score))
}

/** `gradeOf` over columns of the same names. */
export const GRADE_SQL = `CASE WHEN critical >= 1 THEN 'D' WHEN high > 3 THEN 'C' WHEN high >= 1 THEN 'B' ELSE 'A' END`

/** `riskOf` over columns of the same names. */
export const RISK_SQL = `min(100, CAST(round(25 * critical + 10 * high + 3 * medium + low
  + CASE cvss_count WHEN 0 THEN 0 ELSE 5 * (cvss_sum / 10.0 / cvss_count) END) AS INTEGER))`
