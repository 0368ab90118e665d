import type { NamedFinding } from './report.ts'
import { byUnits } from './text.ts'

export const isCve = (id: string): boolean => /^CVE-\d{4}-\d{4,19}$/.test(id)

/**
 * Ids of databases whose records each describe one vulnerability. Distributions' advisories (DSA, DLA, RLSA,
 * ELSA, ALAS, RHSA, USN, …) name several, so they never connect anything.
 */
const ONE_VULNERABILITY = /^(?:GHSA|PYSEC|GO|RUSTSEC|NSWG-ECO|MAL|OSV)-[A-Za-z0-9-]{1,100}$/
const isJoinable = (id: string): boolean => ONE_VULNERABILITY.test(id)

const ghsaFirst = (a: string, b: string): number =>
  Number(b.startsWith('GHSA-')) - Number(a.startsWith('GHSA-')) || byUnits(a, b)

/** What the engines together know of ids that name the same vulnerability. */
export interface Aliases {
  /**
   * The CVEs that a finding is kept under: those that its ids name, sorted. Where they name none, its own id; of
   * several known ids without a CVE (GO-…, GHSA-…) the GHSA, whichever engine reports which.
   */
  targetsOf(finding: NamedFinding): string[]
  /** The other ids of the vulnerability kept under `id`, sorted; never another CVE. */
  aliasesOf(id: string): string[]
}

/** Groups of connected ids, with path halving: as good as linear. */
function makeGroups() {
  const parent = new Map<string, string>()
  function find(id: string): string {
    let at = id
    for (let up = parent.get(at); up !== undefined && up !== at; up = parent.get(at)) {
      parent.set(at, parent.get(up) ?? up)
      at = up
    }
    parent.set(id, at)
    return at
  }
  return {
    find,
    join: (a: string, b: string) => void parent.set(find(a), find(b)),
    ids: () => [...parent.keys()],
  }
}

/**
 * Joins GHSA and the like to CVEs over all findings of all engines, whatever their order. Ids are connected
 * through ids that are not CVEs only, so that two CVEs sharing an advisory stay two.
 */
export function collectAliases(findings: NamedFinding[]): Aliases {
  const groups = makeGroups()
  const edges: [string, string][] = []
  for (const { reportedId, relatedIds } of findings) {
    if (isJoinable(reportedId)) groups.find(reportedId)
    for (const related of relatedIds) {
      if (isJoinable(related)) groups.find(related)
      if (isJoinable(reportedId) && isJoinable(related)) groups.join(reportedId, related)
      else if (isJoinable(reportedId) && isCve(related)) edges.push([reportedId, related])
      else if (isCve(reportedId) && isJoinable(related)) edges.push([related, reportedId])
    }
  }
  const cvesOfGroup = new Map<string, Set<string>>()
  for (const [id, cve] of edges) addTo(cvesOfGroup, groups.find(id), cve)
  const idsOfGroup = new Map<string, Set<string>>()
  const preferred = new Map<string, string>()
  const groupsOfCve = new Map<string, Set<string>>()
  for (const id of groups.ids().sort(ghsaFirst)) {
    const group = groups.find(id)
    addTo(idsOfGroup, group, id)
    if (!preferred.has(group)) preferred.set(group, id)
  }
  for (const [group, cves] of cvesOfGroup) for (const cve of cves) addTo(groupsOfCve, cve, group)
  return {
    targetsOf({ reportedId, relatedIds }) {
      if (isCve(reportedId)) return [reportedId]
      const cves = new Set(relatedIds.filter(isCve))
      for (const id of [reportedId, ...relatedIds].filter(isJoinable))
        for (const cve of cvesOfGroup.get(groups.find(id)) ?? []) cves.add(cve)
      if (cves.size > 0) return [...cves].sort(byUnits)
      return [isJoinable(reportedId) ? (preferred.get(groups.find(reportedId)) ?? reportedId) : reportedId]
    },
    aliasesOf(id) {
      const own = isCve(id) ? (groupsOfCve.get(id) ?? []) : isJoinable(id) ? [groups.find(id)] : []
      const ids = [...own].flatMap((group) => [...(idsOfGroup.get(group) ?? [])])
      return ids.filter((alias) => alias !== id).sort(byUnits)
    },
  }
}

function addTo(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key)
  if (set) set.add(value)
  else sets.set(key, new Set([value]))
}
