import { FINDING_ENGINES, type FindingEngine } from '../../scanning/sensors/result.ts'
import type { Acceptance } from './accept.ts'
import { ENGINE_BIT, enginesOf, type PerEngine, perEngine } from './engines.ts'
import type { Incoming, IncomingFinding, IncomingVulnerability } from './incoming.ts'
import { type Merged, mergeVerdicts, type Said, sameVerdict } from './merge.ts'
import type { FindingsState, StateHead, StoredMatch } from './state.ts'
import { findingEngines } from './visible.ts'

/** A match of one of the artifact's packages as it is to be. */
export interface PlannedMatch {
  before: StoredMatch | null
  id: number
  package: number
  vulnerability: string
  /** Of a new match: the package's name and version. */
  name: string
  version: string
  said: Said
  first: PerEngine<number | null>
  engines: number
  silent: number
  /** Engines (bits) whose verdict appears with this result. */
  born: number
  /** Engines (bits) that stop showing it here: withdrawn unless another live artifact shows it. */
  leaving: number
  merged: Merged
}

/** What an accepted result makes of the state, but for verdicts that may have to be withdrawn (`leaving`). */
export interface Plan {
  state: FindingsState
  builds: Partial<PerEngine<number>>
  ran: number
  newest: PerEngine<number | null>
  matches: PlannedMatch[]
  newLinks: number[]
  vulnerabilities: IncomingVulnerability[]
}

/** The rule of findings for one artifact and one result, or a part of its packages. `newId` gives ids of new matches. */
export function planIngest(
  state: FindingsState,
  incoming: Incoming,
  { builds }: Pick<Acceptance, 'builds'>,
  newId: () => number,
): Plan {
  const idOf = (index: number) => state.packageIds.get(incoming.packages[index]!.key)!
  const ids = new Set(incoming.packages.map((_, index) => idOf(index)))
  const { ran, newest } = afterwards(state, builds)
  const printed = new Map<number, Map<string, IncomingFinding>>()
  for (const finding of incoming.findings) {
    const id = idOf(finding.package)
    const ofPackage = printed.get(id) ?? new Map<string, IncomingFinding>()
    printed.set(id, ofPackage.set(finding.vulnerability, finding))
  }
  const matches = state.matches
    .filter((match) => match.linked || ids.has(match.package))
    .map((match) => {
      const ofPackage = printed.get(match.package)
      const said = ofPackage?.get(match.vulnerability)?.said ?? {}
      ofPackage?.delete(match.vulnerability)
      return confirmed(match, said, state, builds, newest)
    })
  for (const [id, ofPackage] of printed) {
    for (const finding of ofPackage.values()) {
      const { identity } = incoming.packages[finding.package]!
      matches.push({ ...newMatch(newId(), id, finding, builds), ...nameOf(identity) })
    }
  }
  const newLinks = [...ids].filter((id) => !state.linked.has(id))
  return {
    state,
    builds,
    ran,
    newest,
    matches,
    newLinks,
    vulnerabilities: changedTexts(incoming.vulnerabilities, state.vulnerabilities, builds, newest),
  }
}

/** Engines that ran on the artifact, and the newest builds of the organization, after a result with these builds. */
export const afterwards = ({ artifact, newest }: StateHead, builds: Partial<PerEngine<number>>) => ({
  ran: ranAfter(artifact.ran, builds),
  newest: perEngine((engine) => laterOf(newest[engine], builds[engine])),
})

const laterOf = (a: number | null, b: number | undefined) =>
  b === undefined ? a : a === null ? b : Math.max(a, b)

const nameOf = ({ name, version }: { name: string; version: string }) => ({ name, version })

function newMatch(
  id: number,
  packageId: number,
  finding: IncomingFinding,
  builds: Partial<PerEngine<number>>,
) {
  const engines = bitsOf(finding.said)
  return {
    before: null,
    id,
    package: packageId,
    vulnerability: finding.vulnerability,
    said: finding.said,
    first: perEngine((engine) => (finding.said[engine] ? builds[engine]! : null)),
    engines,
    silent: 0,
    born: engines,
    leaving: 0,
    merged: mergeVerdicts(finding.said),
  }
}

const bitsOf = (said: Said) =>
  FINDING_ENGINES.reduce((bits, engine) => (said[engine] ? bits | ENGINE_BIT[engine] : bits), 0)

/** A known match under a result that prints `printed` (nothing: silence). */
function confirmed(
  match: StoredMatch,
  printed: Said,
  state: FindingsState,
  builds: Partial<PerEngine<number>>,
  newest: PerEngine<number | null>,
): PlannedMatch {
  const { artifact } = state
  const said: Said = { ...match.said }
  const first = { ...match.first }
  let { engines, silent } = match
  let born = 0
  let isSame = true
  for (const engine of FINDING_ENGINES) {
    const bit = ENGINE_BIT[engine]
    const build = builds[engine]
    const verdict = build === undefined ? undefined : printed[engine]
    if (verdict && !(engines & bit)) {
      engines |= bit
      born |= bit
      said[engine] = verdict
      first[engine] = build!
      isSame = false
    } else if (verdict && build! >= newest[engine]! && !sameVerdict(verdict, said[engine])) {
      said[engine] = verdict
      isSame = false
    }
    silent = isSilent(match, engine, engines, silent, build, verdict !== undefined, artifact)
      ? silent | bit
      : silent & ~bit
  }
  const shownBefore = artifact.live
    ? findingEngines(match.engines, artifact.ran, match.silent)
    : match.engines
  const shown = match.linked ? findingEngines(engines, ranAfter(artifact.ran, builds), silent) : engines
  return {
    before: match,
    id: match.id,
    package: match.package,
    vulnerability: match.vulnerability,
    name: '',
    version: '',
    said,
    first,
    engines,
    silent,
    born,
    leaving: match.linked ? shownBefore & ~shown : 0,
    merged: isSame ? mergedOf(match) : mergeVerdicts(said),
  }
}

/** What the stored words of a match were merged to. */
const mergedOf = ({ severity, cvss, vector, fixedVersion }: StoredMatch): Merged => ({
  severity,
  cvss,
  vector,
  fixedVersion,
})

const ranAfter = (ran: number, builds: Partial<PerEngine<number>>) =>
  FINDING_ENGINES.reduce((bits, e) => (builds[e] === undefined ? bits : bits | ENGINE_BIT[e]), ran)

/**
 * Whether the artifact excludes an engine's verdict: its own output is at least as new as the first
 * confirmation and does not contain it. An engine without output in this result keeps what it had, but a
 * package that is linked now is one that its last output was silent about.
 */
function isSilent(
  match: StoredMatch,
  engine: FindingEngine,
  engines: number,
  silent: number,
  build: number | undefined,
  printed: boolean,
  artifact: FindingsState['artifact'],
): boolean {
  const bit = ENGINE_BIT[engine]
  if (!(engines & bit) || printed) return false
  const own =
    build ?? (match.linked || !(artifact.ran & bit) ? undefined : (artifact.last[engine].build ?? undefined))
  if (own === undefined) return (silent & bit) !== 0
  return own >= match.first[engine]!
}

/** Texts that are new, or differ and come from scans at the newest builds of all engines that the stored one came from. */
export const changedTexts = (
  incoming: readonly IncomingVulnerability[],
  known: FindingsState['vulnerabilities'],
  builds: Partial<PerEngine<number>>,
  newest: PerEngine<number | null>,
): IncomingVulnerability[] =>
  incoming.filter(({ text, engines, digest }) => {
    const stored = known.get(text.id)
    if (!stored) return true
    if (stored.digest === digest || (stored.engines & ~engines) !== 0) return false
    return enginesOf(engines).every((engine) => builds[engine]! >= newest[engine]!)
  })
