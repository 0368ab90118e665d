import { vulnerabilityId } from '../../ids.ts'
import { type FindingEngine, SEVERITIES } from '../../scanning/sensors/result.ts'
import { enginesOf } from './engines.ts'
import type { MatchRow } from './match-row.ts'
import type { Verdict } from './merge.ts'
import { identityOf, type PackageContext, renderPurl } from './package-key.ts'
import type { FindingRow } from './read.ts'
import { readSaid } from './said.ts'
import { TRIAGE_STATUSES } from './triage-status.ts'

const INSTANTS_KEPT = 50 // a page has few different ones: builds of databases, times of scans
const instants = new Map<number, string>()

/** The time in ISO 8601. What was printed lately is not printed again: it is most of the time of a page. */
function instant(time: number): string {
  const known = instants.get(time)
  if (known) return known
  if (instants.size === INSTANTS_KEPT) instants.clear()
  const text = new Date(time).toISOString()
  instants.set(time, text)
  return text
}

/** When a database was built; null where the engine's output did not say. */
export const builtAt = (build: number | null): string | null => (build ? instant(build) : null)

/** A match on the wire. `engines` are those whose word counts here: in a finding only those that see it there. */
export function presentMatch(row: MatchRow, engines = row.engines, detectedAt = row.seenAt) {
  const [type, context] = JSON.parse(row.package) as [string, PackageContext]
  const { name, version } = row
  const sources = enginesOf(engines)
  return {
    id: vulnerabilityId(row.id),
    cveId: row.vulnerability,
    aliases: row.aliases === null ? [] : (JSON.parse(row.aliases) as string[]),
    packageName: name,
    packageType: type,
    purl: renderPurl(identityOf({ name, version, type, context })),
    installedVersion: version,
    fixedVersion: row.fixedVersion,
    severity: SEVERITIES[row.severity]!,
    cvss: row.cvss === null ? null : row.cvss / 10,
    cvssVector: row.cvssVector,
    sources,
    engines: presentVerdicts(row, sources),
    affectedCount: row.affected,
    triage: { status: TRIAGE_STATUSES[row.status]! },
    timeline: { detectedAt: instant(detectedAt), remediatedAt: null },
  }
}

/** What each engine says, and the build of its database that first said so. */
function presentVerdicts(row: MatchRow, engines: readonly FindingEngine[]) {
  const said = readSaid(row.said, row.cvssVector)
  const first = { trivy: row.trivyFirst, grype: row.grypeFirst, osv: row.osvFirst }
  const verdicts: Partial<Record<FindingEngine, PresentedVerdict>> = {}
  for (const engine of engines) {
    const verdict = said[engine]
    if (!verdict) continue
    const { severity, cvss, fixState, fixedVersions } = verdict
    const built = first[engine]
    const databaseBuiltAt = builtAt(built)
    verdicts[engine] = { severity, cvss, fixState, fixedVersions, databaseBuiltAt }
  }
  return verdicts
}

type PresentedVerdict = Pick<Verdict, 'severity' | 'cvss' | 'fixState' | 'fixedVersions'> & {
  databaseBuiltAt: string | null
}

/** A finding on the wire: the match as this artifact shows it, and where. */
export const presentFinding = (row: FindingRow) => ({
  ...presentMatch(row, row.found, Math.max(row.seenAt, row.since)),
  image: row.image,
  layer: row.layer,
  path: row.path,
})
