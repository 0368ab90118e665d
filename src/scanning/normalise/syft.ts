import { z } from 'zod'
import { distribution } from './distribution.ts'
import { coordinates, isOsType } from './identity.ts'
import { location, type NamedOs, type NamedPackage, namedOs, namedPackage, parseReport } from './report.ts'
import { byUnits, type Notes } from './text.ts'

const text = z.string().nullish()

export const AnchoreLocation = z.object({
  path: text,
  layerID: text,
  annotations: z.object({ evidence: text }).nullish(),
})
type AnchoreLocation = z.infer<typeof AnchoreLocation>

const SyftArtifact = z.object({
  id: z.string().min(1),
  name: z.string(),
  version: text,
  type: z.string(),
  purl: text,
  locations: z.array(AnchoreLocation).nullish(),
  licenses: z.array(z.object({ value: text, spdxExpression: text })).nullish(),
  metadata: z.unknown().optional(),
})
type SyftArtifact = z.infer<typeof SyftArtifact>

const SyftReport = z.object({
  artifacts: z.array(SyftArtifact),
  artifactRelationships: z
    .array(z.object({ parent: z.string(), child: z.string(), type: z.string() }))
    .nullish(),
  distro: z.object({ id: text, versionID: text, versionCodename: text }).nullish(),
  schema: z.object({ version: z.string() }),
})
type SyftReport = z.infer<typeof SyftReport>

/** purl type of syft's (and grype's) package type, for packages without a purl. */
const PURL_TYPE = new Map([
  ['python', 'pypi'],
  ['go-module', 'golang'],
  ['java-archive', 'maven'],
  ['jenkins-plugin', 'maven'],
  ['rust-crate', 'cargo'],
  ['php-composer', 'composer'],
  ['dotnet', 'nuget'],
  ['dart-pub', 'pub'],
  ['R-package', 'cran'],
  ['hex', 'hex'],
  ['binary', 'generic'],
  ['linux-kernel', 'generic'],
])
const OWN_TYPES = new Set([
  'deb',
  'apk',
  'rpm',
  'npm',
  'gem',
  'conda',
  'swift',
  'conan',
  'alpm',
  'portage',
  'nix',
])
export const purlTypeOf = (type: string): string =>
  PURL_TYPE.get(type) ?? (OWN_TYPES.has(type) ? type : 'generic')

/** Package types whose packages own files of others. */
const OWNERS = new Set(['deb', 'apk', 'rpm', 'alpm', 'portage'])

/** Where a package lies: its primary evidence; all of its evidence where none is marked so. */
export function anchoreLocations(locations: AnchoreLocation[], notes: Notes) {
  const all = locations.map((said) => ({
    primary: said.annotations?.evidence === 'primary',
    at: location(said.path, said.layerID, notes),
  }))
  const primary = all.filter((entry) => entry.primary)
  const shown = (primary.length > 0 ? primary : all).map(({ at }) => at)
  return {
    locations: shown.filter((at) => at.path || at.layer),
    paths: all.map(({ at }) => at.path).filter(Boolean),
  }
}

/** `name-version-release.src.rpm` → name and version-release. */
function sourceRpm(file: string): NamedPackage['source'] {
  const [, name, version] = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(file) ?? []
  return name && version ? { name, version } : null
}

/** The source package by the package database's own entry; where it names none, the package is its own source. */
function sourceOf(
  artifact: SyftArtifact,
  at: { type: string; name: string; version: string },
): NamedPackage['source'] {
  const said = (typeof artifact.metadata === 'object' && artifact.metadata) || {}
  const get = (key: string): string => {
    const value = Object.hasOwn(said, key) ? Reflect.get(said, key) : undefined
    return typeof value === 'string' ? value : ''
  }
  const noEpoch = at.version.replace(/^\d+:/, '')
  if (at.type === 'rpm') return sourceRpm(get('sourceRpm')) ?? { name: at.name, version: noEpoch }
  if (at.type === 'apk') return { name: get('originPackage') || at.name, version: at.version }
  return { name: get('source') || at.name, version: get('sourceVersion') || at.version }
}

function moduleOf(metadata: unknown): string | null {
  if (typeof metadata !== 'object' || metadata === null || !Object.hasOwn(metadata, 'modularityLabel'))
    return null
  const label: unknown = Reflect.get(metadata, 'modularityLabel')
  return typeof label === 'string' && label ? label : null
}

/** For each artifact the OS package whose files it was found in; of several the first by name. */
function ownersOf(report: SyftReport): Map<string, string> {
  const osName = new Map(
    report.artifacts
      .filter((artifact) => OWNERS.has(artifact.type))
      .map((artifact) => [artifact.id, artifact.name]),
  )
  const owners = new Map<string, string>()
  for (const { parent, child, type } of report.artifactRelationships ?? []) {
    const name = type === 'ownership-by-file-overlap' && !osName.has(child) ? osName.get(parent) : undefined
    if (name === undefined) continue
    const known = owners.get(child)
    if (known === undefined || byUnits(name, known) < 0) owners.set(child, name)
  }
  return owners
}

/**
 * syft's report as packages, also by artifact id. Every artifact with a name is a package, also what its binary
 * classifiers found ("generic" where it has no purl). Throws `ReportInvalid` for another shape.
 */
export function parseSyft(
  document: unknown,
  notes: Notes,
): { packages: NamedPackage[]; byId: Map<string, NamedPackage>; os: NamedOs | null } {
  const report = parseReport('syft', SyftReport, document)
  const release = report.distro?.versionID || report.distro?.versionCodename || ''
  const distro = distribution(report.distro?.id ?? '', release)
  const owners = ownersOf(report)
  const packages: NamedPackage[] = []
  const byId = new Map<string, NamedPackage>()
  for (const artifact of report.artifacts) {
    const { at, purl } = coordinates(artifact.purl, {
      type: purlTypeOf(artifact.type),
      name: artifact.name,
      version: artifact.version,
    })
    const ofOs = isOsType(at.type)
    const pkg = namedPackage(
      {
        ...at,
        engine: 'syft',
        distro: ofOs ? distro : null,
        source: ofOs ? sourceOf(artifact, at) : null,
        module: ofOs
          ? (moduleOf(artifact.metadata) ?? purl?.qualifiers.get('modularitylabel') ?? null)
          : null,
        owner: owners.get(artifact.id) ?? null,
        licenses: (artifact.licenses ?? []).map((license) => license.spdxExpression || license.value || ''),
        ...anchoreLocations(artifact.locations ?? [], notes),
      },
      notes,
    )
    if (!pkg) continue
    packages.push(pkg)
    byId.set(artifact.id, pkg)
  }
  return { packages, byId, os: namedOs(report.distro?.id, release, false, notes) }
}
