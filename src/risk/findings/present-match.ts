import { vulnerabilityId } from '../../ids.ts'
import { SEVERITIES } from '../../scanning/sensors/result.ts'
import { type ENGINE_BIT, enginesOf } from './engines.ts'
import type { MatchRow } from './match-row.ts'
import type { Said } from './merge.ts'
import { identityOf, renderPurl } from './package-key.ts'
import type { FindingRow } from './read.ts'
import { TRIAGE_STATUSES } from './triage-status.ts'

const instant = (time: number) => new Date(time).toISOString()

/** When a database was built; null where the engine's output did not say. */
export const builtAt = (build: number | null): string | null => (build ? instant(build) : null)

/** A match on the wire. `engines` are those whose word counts here: in a finding only those that see it there. */
export function presentMatch(row: MatchRow, engines = row.engines, detectedAt = row.seenAt) {
  const [type, context] = JSON.parse(row.package) as [string, string]
  const { name, version } = row
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
    sources: enginesOf(engines),
    engines: presentVerdicts(row, engines),
    affectedCount: row.affected,
    triage: { status: TRIAGE_STATUSES[row.status]! },
    timeline: { detectedAt: instant(detectedAt), remediatedAt: null },
  }
}

/** What each engine says, and the build of its database that first said so. */
function presentVerdicts(row: MatchRow, engines: number) {
  const said = JSON.parse(row.said) as Said
  const first = { trivy: row.trivyFirst, grype: row.grypeFirst, osv: row.osvFirst }
  const verdicts = enginesOf(engines).flatMap((engine) => {
    const verdict = said[engine]
    if (!verdict) return []
    const { severity, cvss, fixState, fixedVersions } = verdict
    const built = first[engine]
    const databaseBuiltAt = builtAt(built)
    return [[engine, { severity, cvss, fixState, fixedVersions, databaseBuiltAt }] as const]
  })
  return Object.fromEntries(verdicts) as Partial<
    Record<keyof typeof ENGINE_BIT, (typeof verdicts)[number][1]>
  >
}

/** A finding on the wire: the match as this artifact shows it, and where. */
export const presentFinding = (row: FindingRow) => ({
  ...presentMatch(row, row.found, Math.max(row.seenAt, row.since)),
  image: row.image,
  layer: row.layer,
  path: row.path,
})
