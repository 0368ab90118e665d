import type { EngineName, FindingEngine, Result } from '../../scanning/sensors/result.ts'
import { isFindingEngine, type PerEngine } from './engines.ts'

export type RefusalCode = 'database_older' | 'database_from_future' | 'scan_older'

export interface Refusal {
  engine: EngineName
  code: RefusalCode
}

/** What an artifact remembers of an engine's last accepted output: its database's build and the scan's time. */
export interface LastOutput {
  build: number | null
  scannedAt: number | null
}

export interface Acceptance {
  /** Engines whose word counts: finding engines by the rule, the others when they succeeded. */
  accepted: EngineName[]
  refused: Refusal[]
  /** Database builds of the accepted finding engines, milliseconds. */
  builds: Partial<PerEngine<number>>
}

const CLOCK_TOLERANCE_MS = 24 * 60 * 60 * 1000 // a database may be built "tomorrow" in another zone, not later

/** The beginning of time: older than every build that is known. */
const UNKNOWN_BUILD = 0

/**
 * Which engines' outputs count: those that succeeded with a database not older than the artifact's last
 * accepted one (equal builds: the later scan) and not from the future. An output that does not say which
 * database it comes from counts as built when the artifact's last accepted one was: it is never older, and
 * never outranks a build that is known.
 */
export function acceptEngines(
  result: Pick<Result, 'engines'>,
  last: PerEngine<LastOutput>,
  scannedAt: number,
  now: number,
): Acceptance {
  const acceptance: Acceptance = { accepted: [], refused: [], builds: {} }
  for (const run of result.engines) {
    if (run.status !== 'succeeded' || acceptance.accepted.includes(run.name)) continue
    if (!isFindingEngine(run.name)) {
      acceptance.accepted.push(run.name)
      continue
    }
    const build = run.database ? Date.parse(run.database.builtAt) : (last[run.name].build ?? UNKNOWN_BUILD)
    const code = refusal(build, last[run.name], scannedAt, now)
    if (code) {
      acceptance.refused.push({ engine: run.name, code })
    } else {
      acceptance.accepted.push(run.name)
      acceptance.builds[run.name satisfies FindingEngine] = build
    }
  }
  return acceptance
}

function refusal(build: number, last: LastOutput, scannedAt: number, now: number): RefusalCode | null {
  if (!(build <= now + CLOCK_TOLERANCE_MS)) return 'database_from_future'
  if (last.build === null || build > last.build) return null
  if (build < last.build) return 'database_older'
  return scannedAt < (last.scannedAt ?? 0) ? 'scan_older' : null
}
