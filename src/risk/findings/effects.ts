import { FINDING_ENGINES } from '../../scanning/sensors/result.ts'
import { enginesOf } from './engines.ts'
import { type Counts, countFinding, noCounts } from './grade.ts'
import { sameVerdict } from './merge.ts'
import type { Plan, PlannedMatch } from './plan.ts'
import { findingEngines } from './visible.ts'

/** The artifact's counters. Every finding that shows counts once, with its merged severity. */
export function countPlan(plan: Plan): Counts {
  const counts = noCounts()
  for (const match of plan.matches) {
    if (findingEngines(match.engines, plan.ran, match.silent)) {
      countFinding(counts, match.merged.severity, match.merged.cvss)
    }
  }
  return counts
}

/** Whether what an engine says, or which engines say it, differs from what is stored. */
export const differs = (match: PlannedMatch): boolean =>
  match.before === null ||
  match.engines !== match.before.engines ||
  FINDING_ENGINES.some((engine) => !sameVerdict(match.said[engine], match.before!.said[engine]))

/** Whether severity or score differ from what is stored: those that every holder's counters depend on. */
export const countsDiffer = (match: PlannedMatch): boolean =>
  match.before === null ||
  match.merged.severity !== match.before.severity ||
  match.merged.cvss !== match.before.cvss

/** Whether another live artifact holds the package, as far as known: packages not listed again count as held. */
export function heldByOthers({ state }: Plan, packageId: number): boolean {
  const holders = state.holders.get(packageId)
  return holders === undefined || holders > (state.linked.has(packageId) ? 1 : 0)
}

/** Packages whose other holders' counters may change: a verdict appeared there, or severity or score changed. */
export const touchedPackages = (plan: Plan): number[] => [
  ...new Set(
    plan.matches
      .filter((match) => match.engines !== 0 && (match.born !== 0 || countsDiffer(match)))
      .map((match) => match.package)
      .filter((id) => heldByOthers(plan, id)),
  ),
]

/** Whether plans made from the state as it was would be wrong afterwards. Builds alone are read by statements at their moment. */
export const changesWhatOthersRead = (plan: Plan): boolean =>
  plan.ran !== plan.state.artifact.ran ||
  !plan.state.artifact.live ||
  plan.newLinks.length > 0 ||
  plan.vulnerabilities.length > 0 ||
  FINDING_ENGINES.some((engine) => plan.newest[engine] !== plan.state.newest[engine]) ||
  plan.matches.some((match) => differs(match) || match.silent !== (match.before?.silent ?? 0))

/**
 * Matches that the artifact found by itself and finds no more. The end of one that was only carried here is no
 * resolution: its own output was older than the first confirmation.
 */
export function resolvedMatches({ state: { artifact }, ran, matches }: Plan): number[] {
  if (!artifact.live) return []
  return matches.flatMap(({ before, engines, silent, id }) => {
    if (!before?.linked || findingEngines(engines, ran, silent)) return []
    const own = enginesOf(findingEngines(before.engines, artifact.ran, before.silent)).some(
      (engine) => artifact.last[engine].build! >= before.first[engine]!,
    )
    return own ? [id] : []
  })
}
