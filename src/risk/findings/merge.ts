import {
  type CvssScore,
  FINDING_ENGINES,
  type FindingEngine,
  type FixState,
  SEVERITIES,
  type Severity,
} from '../../scanning/sensors/result.ts'

/** What one engine says about a match, about a match. `cvss` is 0.0 to 10.0. */
export interface Verdict {
  severity: Severity
  cvss: number | null
  vector: string | null
  cvssSource: string | null
  cvssVersion: CvssScore['version'] | null
  fixState: FixState
  fixedVersions: string[]
}

export type Said = Partial<Record<FindingEngine, Verdict>>

/** What a match shows where engines differ. `severity` 0 UNKNOWN … 4 CRITICAL, `cvss` in tenths. */
export interface Merged {
  severity: number
  cvss: number | null
  vector: string | null
  fixedVersion: string | null
}

const VERSION_RANK: Record<CvssScore['version'], number> = { '3.1': 0, '3.0': 1, '4.0': 2, '2.0': 3 }
const sourceRank = (source: string) => (source === 'nvd' ? 0 : source === 'ghsa' ? 1 : 2)

type Scored = Pick<CvssScore, 'source' | 'version' | 'vector' | 'score'>

/** NVD's score, else GHSA's, else the distribution's; of one source 3.1 before 3.0, 4.0 and 2.0. The first of equals. */
export function preferredScore<S extends Scored>(scores: readonly S[]): S | null {
  const rank = (score: Scored) => sourceRank(score.source) * 4 + VERSION_RANK[score.version]
  return scores.reduce<S | null>((best, score) => (best && rank(best) <= rank(score) ? best : score), null)
}

export const severityNumber = (severity: Severity): number => SEVERITIES.indexOf(severity)

/** The highest severity; the preferred CVSS of all; the fix of the first engine that gives one, never compared. */
export function mergeVerdicts(said: Said): Merged {
  const verdicts = FINDING_ENGINES.flatMap((engine) => said[engine] ?? [])
  const scores = verdicts.flatMap((verdict): Scored[] =>
    verdict.cvss === null
      ? []
      : [
          {
            source: verdict.cvssSource ?? '',
            version: verdict.cvssVersion ?? '2.0',
            vector: verdict.vector ?? '',
            score: verdict.cvss,
          },
        ],
  )
  const best = preferredScore(scores)
  const fixed = verdicts.find((verdict) => verdict.fixedVersions.length > 0)
  return {
    severity: Math.max(0, ...verdicts.map((verdict) => severityNumber(verdict.severity))),
    cvss: best ? Math.round(best.score * 10) : null,
    vector: best?.vector || null,
    fixedVersion: fixed ? fixed.fixedVersions.join(', ') : null,
  }
}

export const sameVerdict = (a: Verdict | undefined, b: Verdict | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.severity === b.severity &&
    a.cvss === b.cvss &&
    a.vector === b.vector &&
    a.cvssSource === b.cvssSource &&
    a.cvssVersion === b.cvssVersion &&
    a.fixState === b.fixState &&
    a.fixedVersions.length === b.fixedVersions.length &&
    a.fixedVersions.every((version, index) => version === b.fixedVersions[index]))
