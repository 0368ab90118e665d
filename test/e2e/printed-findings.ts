/**
 * What trivy and grype print about an image, read from their reports without the project's normaliser: the other side
 * of the comparison with what the API shows.
 */
export interface Printed {
  engine: 'trivy' | 'grype'
  id: string
  /** Other ids that the engine gives for it. */
  related: string[]
  purl: string
  name: string
  version: string
  severity: string
  fixState: string
  fixedVersions: string[]
  scores: { source: string; version: string; score: number; about: string | null }[]
  paths: string[]
  /** Diff id of the package's layer. */
  layer: string | null
}

interface TrivyScores {
  V2Score?: number
  V3Score?: number
  V3Vector?: string
  V40Score?: number
}
export interface TrivyWords {
  Results?: {
    Target: string
    Class: string
    Vulnerabilities?: {
      VulnerabilityID: string
      VendorIDs?: string[]
      PkgName: string
      PkgPath?: string
      PkgIdentifier: { PURL: string }
      InstalledVersion: string
      FixedVersion?: string
      Status?: string
      Severity: string
      Layer?: { DiffID?: string }
      CVSS?: Record<string, TrivyScores>
    }[]
  }[]
}

interface GrypeRecord {
  id: string
  namespace: string
  severity?: string
  cvss?: { source?: string; version: string; metrics: { baseScore: number } }[]
}
export interface GrypeWords {
  matches: {
    vulnerability: GrypeRecord & { fix?: { versions?: string[]; state?: string } }
    relatedVulnerabilities?: GrypeRecord[]
    artifact: {
      name: string
      version: string
      purl: string
      locations: { path: string; layerID?: string }[]
    }
  }[]
}

const COLLECTIONS = ['Node.js', 'Python', 'Java']

export function readTrivy(words: TrivyWords): Printed[] {
  return (words.Results ?? []).flatMap(({ Target, Class, Vulnerabilities = [] }) =>
    Vulnerabilities.map((found): Printed => {
      const binary = Class === 'lang-pkgs' && !COLLECTIONS.includes(Target) ? Target : null
      const path = found.PkgPath ?? binary
      return {
        engine: 'trivy',
        id: found.VulnerabilityID,
        related: found.VendorIDs ?? [],
        purl: found.PkgIdentifier.PURL,
        name: found.PkgName,
        version: found.InstalledVersion,
        severity: found.Severity,
        fixState: found.Status ?? '',
        fixedVersions: (found.FixedVersion ?? '').split(', ').filter(Boolean),
        scores: Object.entries(found.CVSS ?? {}).flatMap(([source, said]) => trivyScores(source, said)),
        paths: path ? [`/${path}`] : [],
        layer: found.Layer?.DiffID ?? null,
      }
    }),
  )
}

function trivyScores(source: string, said: TrivyScores): Printed['scores'] {
  const v3 = said.V3Vector?.startsWith('CVSS:3.0') ? '3.0' : '3.1'
  return [
    { version: '4.0', score: said.V40Score },
    { version: v3, score: said.V3Score },
    { version: '2.0', score: said.V2Score },
  ].flatMap(({ version, score }) => (score ? [{ source, version, score, about: null }] : []))
}

export function readGrype({ matches }: GrypeWords): Printed[] {
  return matches.map(({ vulnerability, relatedVulnerabilities = [], artifact }) => ({
    engine: 'grype',
    id: vulnerability.id,
    related: relatedVulnerabilities.map(({ id }) => id),
    purl: artifact.purl,
    name: artifact.name,
    version: artifact.version,
    severity: vulnerability.severity ?? 'Unknown',
    fixState: vulnerability.fix?.state ?? '',
    fixedVersions: vulnerability.fix?.versions ?? [],
    scores: [vulnerability, ...relatedVulnerabilities].flatMap((record, at) =>
      grypeScores(record, at === 0 ? null : record.id),
    ),
    paths: artifact.locations.map(({ path }) => path),
    layer: artifact.locations[0]?.layerID ?? null,
  }))
}

function grypeScores(record: GrypeRecord, about: string | null): Printed['scores'] {
  const issuer = record.namespace.split(':')[0]!.replace('github', 'ghsa')
  return (record.cvss ?? []).map(({ source, version, metrics }) => ({
    source: source === 'nvd@nist.gov' ? 'nvd' : source?.includes('github') ? 'ghsa' : (source ?? issuer),
    version,
    score: metrics.baseScore,
    about,
  }))
}
