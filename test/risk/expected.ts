import type { SeedArtifact, SeedMatch, SeedWorld } from './seed.ts'
import { findingsOf } from './seed.ts'

/** What lists should answer, by plain filtering and sorting of a world. */
export interface Expected {
  id: number
  match: SeedMatch
  detectedAt: number
  engines: number
  artifacts: SeedArtifact[]
}

export interface Query {
  sort: 'severity' | 'cvss' | 'cveId' | 'detectedAt' | 'triageStatus'
  direction: 'asc' | 'desc'
  severity?: string[]
  status?: string
  scanner?: string
  package?: string
  cveId?: string
  search?: string
  fixable?: boolean
  image?: string
  registry?: string
}

export const SEVERITIES = ['UNKNOWN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL']
export const STATUSES = ['OPEN', 'ACKNOWLEDGED', 'IN_PROGRESS', 'FIXED', 'WONT_FIX']
const BITS: Record<string, number> = { trivy: 1, grype: 2, osv: 4 }

/** The organization's list: one entry for each match that an artifact shows. */
export function shownMatches(world: SeedWorld): Expected[] {
  const shown = new Map<SeedMatch, SeedArtifact[]>()
  for (const [artifact, findings] of findingsOf(world))
    for (const { match } of findings) shown.set(match, [...(shown.get(match) ?? []), artifact])
  return [...shown].map(([match, artifacts]) => ({
    id: match.id,
    match,
    detectedAt: match.seenAt,
    engines: match.engines,
    artifacts,
  }))
}

/** An artifact's list: one entry for each finding. */
export function shownFindings(world: SeedWorld, artifact: SeedArtifact): Expected[] {
  return findingsOf(world)
    .get(artifact)!
    .map(({ match, bits }) => ({
      id: match.id,
      match,
      detectedAt: Math.max(match.seenAt, artifact.links.get(match.package.id)!),
      engines: bits,
      artifacts: [artifact],
    }))
}

export function select(all: readonly Expected[], query: Query): Expected[] {
  const keys = ({ match, detectedAt, id }: Expected): (number | string)[] => {
    const score = match.cvss ?? -1
    switch (query.sort) {
      case 'severity':
        return [match.severity, score, id]
      case 'cvss':
        return [score, id]
      case 'cveId':
        return [match.vulnerability, id]
      case 'detectedAt':
        return [detectedAt, id]
      case 'triageStatus':
        return [match.status, match.severity, score, id]
    }
  }
  const kept = all.filter((each) => matches(each, query))
  const turn = query.direction === 'desc' ? -1 : 1
  return kept.sort((a, b) => turn * compare(keys(a), keys(b)))
}

function compare(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  for (const [index, left] of a.entries()) {
    if (left !== b[index]) return left < b[index]! ? -1 : 1
  }
  return 0
}

function matches({ match, engines, artifacts }: Expected, query: Query): boolean {
  const text = [match.package.name, match.vulnerability].map((each) => each.toLowerCase())
  return (
    (!query.severity || query.severity.includes(SEVERITIES[match.severity]!)) &&
    (!query.status || query.status === STATUSES[match.status]) &&
    (!query.scanner || (engines & (BITS[query.scanner] ?? 0)) !== 0) &&
    (!query.package || match.package.name === query.package) &&
    (!query.cveId || match.vulnerability === query.cveId) &&
    (!query.search || text.some((each) => each.includes(query.search!.toLowerCase()))) &&
    (query.fixable === undefined || query.fixable === (match.fixedVersion !== null)) &&
    (!query.image || artifacts.some(({ image }) => image.id === query.image || image.name === query.image)) &&
    (!query.registry || artifacts.some(({ image }) => image.registry === query.registry))
  )
}

/** The query as a request for `path`. */
export function address(
  path: string,
  { sort, direction, ...filters }: Query,
  limit: number,
  page = 1,
): string {
  const params = new URLSearchParams({
    sort: `${sort}:${direction}`,
    limit: String(limit),
    page: String(page),
  })
  for (const [name, value] of Object.entries(filters))
    if (value !== undefined) params.set(name, String(value))
  return `${path}?${params}`
}

export const SORTS: Query['sort'][] = ['severity', 'cvss', 'cveId', 'detectedAt', 'triageStatus']

/** A query of one to three filters with values that occur in the world, and sometimes with ones that do not. */
export function someQuery(world: SeedWorld, next: () => number): Query {
  const one = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!
  const query: Query = { sort: one(SORTS), direction: one(['asc', 'desc']) }
  const sample = one(world.matches)
  const filters: (() => void)[] = [
    () => (query.severity = SEVERITIES.filter(() => next() < 0.4)),
    () => (query.status = one(STATUSES)),
    () => (query.scanner = one(['trivy', 'grype', 'osv', 'syft'])),
    () => (query.package = next() < 0.1 ? 'nothing' : sample.package.name),
    () => (query.cveId = next() < 0.1 ? 'CVE-1999-1' : sample.vulnerability),
    () =>
      (query.search = one([
        'cve-2019',
        'LIB1',
        'own',
        'CVE-2020-12',
        'zzz',
        sample.package.name.slice(1, 4),
      ])),
    () => (query.fixable = next() < 0.5),
    () => (query.image = one([one(world.images).id, one(world.images).name, 'img_unknown'])),
    () => (query.registry = one([...world.registries.map(({ id }) => id), 'reg_unknown'])),
  ]
  for (let count = Math.floor(next() * 4); count > 0; count--) one(filters)()
  if (query.severity?.length === 0) delete query.severity
  return query
}
