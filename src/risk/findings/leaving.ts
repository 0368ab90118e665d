import { enginesOf } from './engines.ts'
import { mergeVerdicts } from './merge.ts'
import type { PlannedMatch } from './plan.ts'
import type { StoredMatch } from './state.ts'

/** A match as it is, whose verdicts (or those of `leaving`, bits) are to go unless a live artifact shows them. */
export const leavingMatch = (before: StoredMatch, leaving = before.engines): PlannedMatch => ({
  before,
  id: before.id,
  package: before.package,
  vulnerability: before.vulnerability,
  name: '',
  version: '',
  said: { ...before.said },
  first: { ...before.first },
  engines: before.engines,
  silent: 0,
  born: 0,
  leaving,
  merged: {
    severity: before.severity,
    cvss: before.cvss,
    vector: before.vector,
    fixedVersion: before.fixedVersion,
  },
})

/** Removes from matches the verdicts that no live artifact shows. `shown` tells, by match id, engines (bits) that others show. */
export function withdraw(matches: PlannedMatch[], shown: ReadonlyMap<number, number>): void {
  for (const match of matches) {
    const gone = match.leaving & ~(shown.get(match.id) ?? 0)
    if (gone === 0) continue
    match.engines &= ~gone
    match.silent &= ~gone
    for (const engine of enginesOf(gone)) {
      delete match.said[engine]
      match.first[engine] = null
    }
    match.merged = mergeVerdicts(match.said)
  }
}
