import { z } from 'zod'
import type { CvssScore, FixState } from '../sensors/result.ts'
import { distribution } from './distribution.ts'
import { coordinates, isOsType } from './identity.ts'
import {
  type AdvisoryRecord,
  cvssScore,
  type NamedFinding,
  type NamedOs,
  type NamedPackage,
  namedOs,
  namedPackage,
  parseReport,
  webLinks,
} from './report.ts'
import { AnchoreLocation, anchoreLocations, purlTypeOf } from './syft.ts'
import { line, type Notes, prose } from './text.ts'

const text = z.string().nullish()

const GrypeRecord = z.object({
  id: z.string().min(1),
  dataSource: text,
  namespace: text,
  severity: text,
  urls: z.array(z.string()).nullish(),
  description: text,
  cvss: z
    .array(
      z.object({
        source: text,
        version: text,
        vector: text,
        metrics: z.object({ baseScore: z.number().nullish() }).nullish(),
      }),
    )
    .nullish(),
  cwes: z.array(z.object({ cve: text, cwe: z.string() })).nullish(),
})
type GrypeRecord = z.infer<typeof GrypeRecord>

const GrypeMatch = z.object({
  vulnerability: GrypeRecord.extend({
    fix: z.object({ versions: z.array(z.string()).nullish(), state: text }).nullish(),
    advisories: z.array(z.object({ id: text, link: text })).nullish(),
  }),
  relatedVulnerabilities: z.array(GrypeRecord).nullish(),
  artifact: z.object({
    id: text,
    name: z.string().min(1),
    version: text,
    type: z.string(),
    purl: text,
    locations: z.array(AnchoreLocation).nullish(),
    licenses: z.array(z.string()).nullish(),
    upstreams: z.array(z.object({ name: z.string(), version: text })).nullish(),
  }),
})
type GrypeMatch = z.infer<typeof GrypeMatch>

const GrypeReport = z.object({
  matches: z.array(GrypeMatch),
  distro: z.object({ name: text, version: text }).nullish(),
  descriptor: z.object({ name: z.literal('grype') }),
})

const FIX_STATE = new Map<string, FixState>([
  ['fixed', 'fixed'],
  ['not-fixed', 'not-fixed'],
  ['wont-fix', 'wont-fix'],
])

/** Sources of NVD's records by address; without one the record's own namespace says whose score it is. */
const CVSS_SOURCE = new Map([
  ['nvd@nist.gov', 'nvd'],
  ['security-advisories@github.com', 'ghsa'],
  ['secalert@redhat.com', 'redhat'],
])

/** `github:language:java` → ghsa, `debian:distro:debian:12` → debian, `nvd:cpe` → nvd. */
function issuer(namespace: string | null | undefined): string {
  const first = (namespace ?? '').split(':')[0]?.toLowerCase() ?? ''
  return first === 'github' ? 'ghsa' : first || 'unknown'
}

function scoresOf(record: GrypeRecord, notes: Notes): CvssScore[] {
  const scores = (record.cvss ?? []).map(({ source, version, vector, metrics }) => {
    const whose = source ? (CVSS_SOURCE.get(source.toLowerCase()) ?? source) : issuer(record.namespace)
    return cvssScore(whose, version ?? '', vector, metrics?.baseScore, notes)
  })
  return scores.filter((score) => score !== null)
}

function recordOf(
  record: GrypeRecord,
  advisoryLinks: (string | null | undefined)[],
  notes: Notes,
): AdvisoryRecord {
  return {
    id: record.id,
    title: null,
    description: prose(record.description, 8000, 'vulnerability.description', notes),
    links: webLinks([record.dataSource, ...(record.urls ?? []), ...advisoryLinks], notes),
    cwes: (record.cwes ?? []).map(({ cve, cwe }) => ({ id: cve ?? null, cwe })),
    cvss: scoresOf(record, notes),
    publishedAt: null,
    modifiedAt: null,
  }
}

/** The source package that grype names: the purl of syft's, else the first upstream, which lacks the version it shares. */
function sourceOf(
  { upstreams }: GrypeMatch['artifact'],
  at: { type: string; name: string; version: string },
) {
  const noEpoch = at.type === 'rpm' ? at.version.replace(/^\d+:/, '') : at.version
  const upstream = upstreams?.[0]
  return upstream
    ? { name: upstream.name, version: upstream.version || noEpoch }
    : { name: at.name, version: noEpoch }
}

function packageOf(
  artifact: GrypeMatch['artifact'],
  distro: string | null,
  notes: Notes,
): NamedPackage | null {
  const { at, purl } = coordinates(artifact.purl, {
    type: purlTypeOf(artifact.type),
    name: artifact.name,
    version: artifact.version,
  })
  const ofOs = isOsType(at.type)
  return namedPackage(
    {
      ...at,
      engine: 'grype',
      distro: ofOs ? distro : null,
      source: ofOs ? sourceOf(artifact, at) : null,
      module: ofOs ? (purl?.qualifiers.get('modularitylabel') ?? null) : null,
      owner: null,
      licenses: artifact.licenses ?? [],
      ...anchoreLocations(artifact.locations ?? [], notes),
    },
    notes,
  )
}

function findingOf(match: GrypeMatch, pkg: NamedPackage, notes: Notes): NamedFinding {
  const { vulnerability, relatedVulnerabilities } = match
  const related = relatedVulnerabilities ?? []
  const advisories = (vulnerability.advisories ?? []).map(({ link }) => link)
  return {
    engine: 'grype',
    reportedId: line(vulnerability.id, 128, 'reportedId', notes),
    relatedIds: related.map((record) => record.id),
    package: pkg,
    artifactId: match.artifact.id ?? null,
    severity: vulnerability.severity ?? '',
    fixState: FIX_STATE.get(vulnerability.fix?.state ?? '') ?? 'unknown',
    fixedVersions: (vulnerability.fix?.versions ?? [])
      .map((version) => line(version, 512, 'fixedVersion', notes))
      .filter(Boolean),
    records: [
      recordOf(vulnerability, advisories, notes),
      ...related.map((record) => recordOf(record, [], notes)),
    ],
  }
}

/** grype's report as findings, each with the package that it names. Throws `ReportInvalid` for another shape. */
export function parseGrype(
  document: unknown,
  notes: Notes,
): { findings: NamedFinding[]; os: NamedOs | null } {
  const report = parseReport('grype', GrypeReport, document)
  const { name, version } = report.distro ?? {}
  const distro = distribution(name ?? '', version ?? '')
  const findings: NamedFinding[] = []
  for (const match of report.matches) {
    const pkg = packageOf(match.artifact, distro, notes)
    if (pkg) findings.push(findingOf(match, pkg, notes))
  }
  return { findings, os: namedOs(name, version, false, notes) }
}
