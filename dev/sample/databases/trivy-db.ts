import type { Advisory, AdvisorySource, Affected, Severity } from '../advisories/advisory.ts'
import { preferredAffected } from '../advisories/preferred-affected.ts'
import { severityOfScore } from '../advisories/score-vector.ts'
import { type BoltBucket, writeBolt } from './bolt.ts'
import { constraintsOf, trivyConstraint } from './constraints.ts'
import { referencesOf } from './references.ts'

const TRIVY_SCHEMA = 2

interface DataSource {
  ID: string
  Name: string
  URL: string
}

/** Trivy has no level under LOW; it stores Debian's "unimportant" as LOW, too. */
const SEVERITY_CODE: Record<Severity, number> = {
  UNKNOWN: 0,
  NEGLIGIBLE: 1,
  LOW: 1,
  MEDIUM: 2,
  HIGH: 3,
  CRITICAL: 4,
}
const SEVERITY_NAME = ['UNKNOWN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL'] as const
const STATUS_AFFECTED = 2

/** Trivy's ids for the sources, as `VendorSeverity` and `CVSS` are keyed. */
const SOURCE_ID: Record<AdvisorySource, string> = {
  ghsa: 'ghsa',
  pypa: 'osv',
  govulndb: 'govulndb',
  'nodejs-wg': 'nodejs-security-wg',
  debian: 'debian',
  alpine: 'alpine',
  nvd: 'nvd',
}
const BUCKET_PREFIX = { npm: 'npm', pypi: 'pip', go: 'go', maven: 'maven' } as const
const GHSA_ECOSYSTEM = { npm: 'npm', pypi: 'pip', go: 'Go', maven: 'Maven' } as const
const DISTRIBUTION = {
  debian: {
    ID: 'debian',
    Name: 'Debian Security Tracker',
    URL: 'https://salsa.debian.org/security-tracker-team/security-tracker',
  },
  alpine: { ID: 'alpine', Name: 'Alpine Secdb', URL: 'https://secdb.alpinelinux.org/' },
} as const
const LANGUAGE_SOURCE: Partial<Record<AdvisorySource, DataSource>> = {
  pypa: { ID: 'osv', Name: 'Python Packaging Advisory Database', URL: 'https://github.com/pypa/advisory-db' },
  govulndb: { ID: 'govulndb', Name: 'The Go Vulnerability Database', URL: 'https://pkg.go.dev/vuln/' },
  'nodejs-wg': {
    ID: 'nodejs-security-wg',
    Name: 'Node.js Ecosystem Security Working Group',
    URL: 'https://github.com/nodejs/security-wg',
  },
}

/** `trivy.db` (bbolt, schema 2) of the given advisories. The same advisories always give the same bytes. */
export function trivyDatabase(advisories: readonly Advisory[]): Buffer {
  const root = new Map<string, BoltBucket>()
  for (const advisory of advisories) {
    for (const affected of preferredAffected(advisory)) putAffected(root, advisory, affected)
    nested(root, 'vulnerability').set(advisory.id, JSON.stringify(vulnerability(advisory)))
  }
  return writeBolt(root)
}

/** `metadata.json` beside it. `builtAt` is ISO 8601; the next update is said to be a day later. */
export function trivyMetadata(builtAt: string): string {
  const nextUpdate = new Date(Date.parse(builtAt) + 24 * 60 * 60 * 1000).toISOString().replace('.000Z', 'Z')
  return `${JSON.stringify({ Version: TRIVY_SCHEMA, NextUpdate: nextUpdate, UpdatedAt: builtAt, DownloadedAt: builtAt })}\n`
}

function putAffected(root: Map<string, BoltBucket>, advisory: Advisory, affected: Affected): void {
  const { bucketName, dataSource } = bucketOf(affected)
  nested(root, 'data-source').set(bucketName, JSON.stringify(dataSource))
  const packageBucket = nested(nested(root, bucketName), affected.packageName)
  const known = packageBucket.get(advisory.id)
  const entry = isDistribution(affected) ? distributionEntry(affected) : languageEntry(affected)
  packageBucket.set(advisory.id, JSON.stringify(known ? merged(JSON.parse(known as string), entry) : entry))
}

function nested(parent: Map<string, BoltBucket | string>, name: string): BoltBucket {
  const known = parent.get(name)
  if (known instanceof Map) return known
  const bucket: BoltBucket = new Map()
  parent.set(name, bucket)
  return bucket
}

const isDistribution = (affected: Affected) =>
  affected.ecosystem === 'debian' || affected.ecosystem === 'alpine'

function bucketOf(affected: Affected): { bucketName: string; dataSource: DataSource } {
  const { ecosystem, source } = affected
  if (ecosystem === 'debian' || ecosystem === 'alpine') {
    return { bucketName: `${ecosystem} ${affected.release}`, dataSource: DISTRIBUTION[ecosystem] }
  }
  const github = GHSA_ECOSYSTEM[ecosystem]
  const dataSource = LANGUAGE_SOURCE[source] ?? {
    ID: 'ghsa',
    Name: `GitHub Security Advisory ${github}`,
    URL: `https://github.com/advisories?query=type%3Areviewed+ecosystem%3A${github.toLowerCase()}`,
  }
  return { bucketName: `${BUCKET_PREFIX[ecosystem]}::${dataSource.Name}`, dataSource }
}

function distributionEntry(affected: Affected): Record<string, unknown> {
  const fixed = affected.intervals.find((interval) => interval.fixed !== null)?.fixed
  return {
    ...(fixed ? { FixedVersion: fixed } : { Status: STATUS_AFFECTED }),
    ...(affected.severity === 'UNKNOWN' ? {} : { Severity: SEVERITY_CODE[affected.severity] }),
  }
}

function languageEntry(affected: Affected): Record<string, string[]> {
  const ecosystem = affected.ecosystem as keyof typeof BUCKET_PREFIX
  const constraints = constraintsOf(affected)
  return {
    VendorIDs: [affected.advisoryId],
    VulnerableVersions: constraints.map((constraint) => trivyConstraint(ecosystem, constraint)),
    PatchedVersions: constraints.flatMap(({ fixed }) => (fixed ? [fixed] : [])),
  }
}

/** Two advisories of one source about one CVE and package: the versions of both. A distribution's first entry stays. */
function merged(known: Record<string, unknown>, entry: Record<string, unknown>): Record<string, unknown> {
  const result = { ...known }
  for (const [name, value] of Object.entries(entry)) {
    const before = result[name]
    if (Array.isArray(value) && Array.isArray(before)) result[name] = [...new Set([...before, ...value])]
  }
  return result
}

function vulnerability(advisory: Advisory): Record<string, unknown> {
  const vendorSeverity: Record<string, number> = {}
  const cvss: Record<string, Record<string, string | number>> = {}
  for (const { source, severity, cvss: scores } of advisory.ratings) {
    if (severity !== 'UNKNOWN') vendorSeverity[SOURCE_ID[source]] = SEVERITY_CODE[severity]
    for (const { version, vector, score } of scores) {
      const prefix = version.startsWith('4') ? 'V40' : version.startsWith('3') ? 'V3' : 'V2'
      const scored = { [`${prefix}Vector`]: vector, [`${prefix}Score`]: score }
      cvss[SOURCE_ID[source]] = { ...cvss[SOURCE_ID[source]], ...scored }
    }
  }
  return {
    Severity: overallSeverity(advisory),
    ...(Object.keys(vendorSeverity).length ? { VendorSeverity: vendorSeverity } : {}),
    ...(Object.keys(cvss).length ? { CVSS: cvss } : {}),
    ...(advisory.cwes.length ? { CweIDs: advisory.cwes } : {}),
    References: referencesOf(advisory),
    ...(advisory.published ? { PublishedDate: advisory.published } : {}),
    ...(advisory.modified ? { LastModifiedDate: advisory.modified } : {}),
  }
}

/** NVD's severity, else GitHub's, else the first source's that gives one: Trivy shows it where a package's own source has none. */
function overallSeverity(advisory: Advisory): string {
  const order = ['nvd', 'ghsa', 'govulndb', 'pypa', 'nodejs-wg'] as const
  for (const source of order) {
    const rating = advisory.ratings.find((candidate) => candidate.source === source)
    const scored =
      rating?.source === 'nvd' ? rating.cvss.find(({ version }) => version.startsWith('3')) : undefined
    const severity = scored ? severityOfScore(scored.score) : rating?.severity
    if (severity && severity !== 'UNKNOWN') return SEVERITY_NAME[SEVERITY_CODE[severity]]!
  }
  return 'UNKNOWN'
}
