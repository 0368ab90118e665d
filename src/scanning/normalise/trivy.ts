import type { CvssScore, FixState } from '../sensors/result.ts'
import { distribution } from './distribution.ts'
import { coordinates, isOsType, withEpoch } from './identity.ts'
import {
  type AdvisoryRecord,
  cvssScore,
  instant,
  location,
  type NamedFinding,
  type NamedOs,
  type NamedPackage,
  namedOs,
  namedPackage,
  parseReport,
  webLinks,
} from './report.ts'
import { line, type Notes, prose } from './text.ts'
import {
  type TrivyOs,
  TrivyPackage,
  TrivyReport,
  type TrivyResult,
  type TrivyVulnerability,
} from './trivy-report.ts'

/** purl type by the analyzer that read the package database. */
const DATABASE_TYPE = new Map([
  ['dpkg', 'deb'],
  ['apk', 'apk'],
  ['rpm', 'rpm'],
])

/** purl type by a result's Type. OS families not named here use rpm. */
const PURL_TYPE = new Map(
  Object.entries({
    deb: 'debian ubuntu',
    apk: 'alpine wolfi chainguard',
    pypi: 'python-pkg pip pipenv poetry uv pylock',
    npm: 'node-pkg npm yarn pnpm bun',
    maven: 'jar pom gradle sbt',
    golang: 'gobinary gomod',
    gem: 'gemspec bundler',
    cargo: 'rustbinary cargo',
    composer: 'composer composer-vendor',
    nuget: 'nuget dotnet-core packages-props',
    conda: 'conda-pkg conda-environment',
  }).flatMap(([type, names]) => names.split(' ').map((name) => [name, type] as const)),
)

/** Targets under which trivy collects packages of many files: they are no paths. */
const COLLECTIONS = new Set(['Node.js', 'Python', 'Java', 'Ruby', 'Conda'])

const FIX_STATE = new Map<string, FixState>([
  ['fixed', 'fixed'],
  ['affected', 'not-fixed'],
  ['fix_deferred', 'not-fixed'],
  ['will_not_fix', 'wont-fix'],
  ['end_of_life', 'wont-fix'],
])

/** purl type of a result's Type; null where it says none. */
export const purlTypeOf = (type: string): string | null => PURL_TYPE.get(type) ?? null

/** For packages without a purl. */
const purlType = (pkg: TrivyPackage, result: TrivyResult): string =>
  DATABASE_TYPE.get(pkg.AnalyzedBy ?? '') ??
  purlTypeOf(result.Type ?? '') ??
  (result.Class === 'os-pkgs' && result.Type ? 'rpm' : 'generic')

/** A binary's packages have no path of their own: it is the result's target. An OS result's target is no path. */
function pathOf(result: TrivyResult, own: string | null | undefined): string | null {
  if (own) return own
  const target = result.Target ?? ''
  return result.Class === 'os-pkgs' || COLLECTIONS.has(target) ? null : target
}

const joined = (version: string | null | undefined, release: string | null | undefined): string =>
  version && release ? `${version}-${release}` : (version ?? '')

/** The source package, null where trivy names none. rpm sources carry no epoch, as in their file names. */
function sourceOf(pkg: TrivyPackage, type: string): NamedPackage['source'] {
  if (!pkg.SrcName) return null
  const own = joined(pkg.SrcVersion, pkg.SrcRelease)
  return { name: pkg.SrcName, version: type === 'rpm' ? own : withEpoch(own, pkg.SrcEpoch) }
}

function packageOf(pkg: TrivyPackage, result: TrivyResult, os: TrivyOs | null | undefined, notes: Notes) {
  const { at, purl } = coordinates(pkg.Identifier?.PURL, {
    type: purlType(pkg, result),
    name: pkg.Name,
    version: joined(pkg.Version, pkg.Release),
    epoch: pkg.Epoch,
  })
  const ofOs = isOsType(at.type)
  const place = location(pathOf(result, pkg.FilePath), pkg.Layer?.DiffID, notes)
  return namedPackage(
    {
      ...at,
      engine: 'trivy',
      distro: ofOs && os ? distribution(os.Family ?? '', os.Name ?? '') : null,
      source: ofOs ? sourceOf(pkg, at.type) : null,
      module: ofOs ? (purl?.qualifiers.get('modularitylabel') ?? pkg.Modularitylabel ?? null) : null,
      owner: null,
      licenses: pkg.Licenses ?? [],
      locations: place.path || place.layer ? [place] : [],
      paths: place.path ? [place.path] : [],
    },
    notes,
  )
}

function scoresOf(vulnerability: TrivyVulnerability, notes: Notes): CvssScore[] {
  const scores: (CvssScore | null)[] = []
  for (const [source, said] of Object.entries(vulnerability.CVSS ?? {})) {
    const add = (version: string, vector: typeof said.V2Vector, score: typeof said.V2Score) => {
      if (vector || score) scores.push(cvssScore(source, version, vector, score, notes))
    }
    add('4.0', said.V40Vector, said.V40Score)
    add(said.V3Vector?.startsWith('CVSS:3.0/') ? '3.0' : '3.1', said.V3Vector, said.V3Score)
    add('2.0', said.V2Vector, said.V2Score)
  }
  return scores.filter((score) => score !== null)
}

function recordOf(found: TrivyVulnerability, notes: Notes): AdvisoryRecord {
  return {
    id: found.VulnerabilityID,
    title: line(found.Title, 1000, 'vulnerability.title', notes) || null,
    description: prose(found.Description, 8000, 'vulnerability.description', notes),
    links: webLinks([found.PrimaryURL, ...(found.References ?? [])], notes),
    cwes: (found.CweIDs ?? []).map((cwe) => ({ id: null, cwe })),
    cvss: scoresOf(found, notes),
    publishedAt: instant(found.PublishedDate),
    modifiedAt: instant(found.LastModifiedDate),
  }
}

/** The package that a finding names without trivy having listed it. */
function unlisted(
  found: TrivyVulnerability,
  result: TrivyResult,
  os: TrivyOs | null | undefined,
  notes: Notes,
) {
  const pkg = { Name: found.PkgName, Version: found.InstalledVersion, FilePath: found.PkgPath }
  const rest = { Identifier: found.PkgIdentifier, Layer: found.Layer }
  return packageOf(TrivyPackage.parse({ ...pkg, ...rest }), result, os, notes)
}

function findingOf(found: TrivyVulnerability, pkg: NamedPackage, notes: Notes): NamedFinding {
  const fixed = (found.FixedVersion ?? '')
    .split(',')
    .map((version) => line(version, 512, 'fixedVersion', notes))
  return {
    engine: 'trivy',
    reportedId: line(found.VulnerabilityID, 128, 'reportedId', notes),
    relatedIds: found.VendorIDs ?? [],
    package: pkg,
    artifactId: null,
    severity: found.Severity ?? '',
    fixState:
      FIX_STATE.get(found.Status ?? '') ?? (!found.Status && fixed.some(Boolean) ? 'fixed' : 'unknown'),
    fixedVersions: fixed.filter(Boolean),
    records: [recordOf(found, notes)],
  }
}

/** trivy's report (`SchemaVersion` 2) as packages and findings. Throws `ReportInvalid` for another shape. */
export function parseTrivy(
  document: unknown,
  notes: Notes,
): { packages: NamedPackage[]; findings: NamedFinding[]; os: NamedOs | null } {
  const report = parseReport('trivy', TrivyReport, document)
  const os = report.Metadata?.OS
  const packages: NamedPackage[] = []
  const findings: NamedFinding[] = []
  for (const result of report.Results ?? []) {
    const byUid = new Map<string, NamedPackage>()
    for (const listed of result.Packages ?? []) {
      const pkg = packageOf(listed, result, os, notes)
      if (!pkg) continue
      packages.push(pkg)
      if (listed.Identifier?.UID) byUid.set(listed.Identifier.UID, pkg)
    }
    for (const found of result.Vulnerabilities ?? []) {
      const pkg = byUid.get(found.PkgIdentifier?.UID ?? '') ?? unlisted(found, result, os, notes)
      if (pkg) findings.push(findingOf(found, pkg, notes))
    }
  }
  return { packages, findings, os: namedOs(os?.Family, os?.Name, os?.EOSL ?? false, notes) }
}
