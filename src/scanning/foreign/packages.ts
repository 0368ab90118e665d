import {
  type Coordinates,
  coordinates,
  distribution,
  isOsType,
  line,
  type Notes,
  syftPurlType,
  trivyPurlType,
} from '../normalise/index.ts'
import type { ResultPackage } from '../sensors/result.ts'
import { ForeignPackage } from './envelope.ts'

export type Lister = 'trivy' | 'syft'

/** A package record, brought to the spelling that packages have here. */
export interface NamedRecord extends Coordinates {
  lister: Lister
  /** As the record prints it. */
  printed: { name: string; version: string }
  distro: string | null
  source: ResultPackage['source']
  module: string | null
  license: string | null
  /** False where neither a purl nor the type says what it is. */
  isTyped: boolean
}

/** Distributions with rpm packages, by trivy's names: it has the distribution as a package's type. */
const RPM_FAMILIES = new Set([
  ...[
    'redhat',
    'centos',
    'rocky',
    'alma',
    'amazon',
    'oracle',
    'fedora',
    'photon',
    'cbl-mariner',
    'azurelinux',
  ],
  ...['opensuse', 'opensuse.leap', 'opensuse.tumbleweed', 'suse linux enterprise server'],
])

function typeOf(type: string, lister: Lister): string {
  if (lister === 'syft') return syftPurlType(type)
  return trivyPurlType(type) ?? (RPM_FAMILIES.has(type.toLowerCase()) ? 'rpm' : syftPurlType(type))
}

/** The qualifier "debian-12.5" as packages have it: "debian-12". */
function distroOf(qualifier: string | undefined): string | null {
  if (!qualifier) return null
  const dash = qualifier.lastIndexOf('-')
  return dash > 0
    ? distribution(qualifier.slice(0, dash), qualifier.slice(dash + 1))
    : distribution(qualifier, '')
}

/** The qualifier "glibc", "glibc@2.36-9" or "glibc-2.36-9.src.rpm"; without one nothing is known of the source. */
function sourceOf(qualifier: string | undefined, version: string, notes: Notes): ResultPackage['source'] {
  if (!qualifier) return null
  const [, rpmName, rpmVersion] = /^(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm$/.exec(qualifier) ?? []
  const at = qualifier.indexOf('@', 1)
  const name = rpmName ?? (at > 0 ? qualifier.slice(0, at) : qualifier)
  const own = rpmVersion ?? (at > 0 ? qualifier.slice(at + 1) : version)
  return { name: line(name, 512, 'package.source', notes), version: line(own, 512, 'package.source', notes) }
}

/** What a package record names; null (and counted) where it has no name, or is of no engine that lists packages. */
export function namedRecord(record: unknown, notes: Notes): NamedRecord | null {
  const { data } = ForeignPackage.safeParse(record)
  const lister = data?.source?.toLowerCase()
  if (lister !== 'trivy' && lister !== 'syft') {
    notes.count('packages of no known engine left out')
    return null
  }
  const clean = (text: string | null | undefined, max: number, label: string) =>
    line(text, max, `package.${label}`, notes)
  const printed = { name: clean(data?.name, 512, 'name'), version: clean(data?.version, 512, 'version') }
  const type = typeOf(data?.type ?? '', lister)
  const { at, purl } = coordinates(data?.purl, { type, ...printed })
  const name = clean(at.name, 512, 'name')
  if (!name) {
    notes.count('packages without a name left out')
    return null
  }
  const ofOs = isOsType(at.type)
  const version = clean(at.version, 512, 'version')
  const qualifier = (key: string) => (ofOs ? purl?.qualifiers.get(key) : undefined)
  return {
    lister,
    printed,
    type: clean(at.type, 64, 'type'),
    namespace: clean(at.namespace, 512, 'namespace') || null,
    name,
    version,
    distro: clean(distroOf(qualifier('distro')), 128, 'distro') || null,
    source: sourceOf(qualifier('upstream'), version, notes),
    module: clean(qualifier('modularitylabel') ?? qualifier('rpmmod'), 256, 'module') || null,
    license: clean(data?.license, 256, 'license') || null,
    isTyped: purl !== null || type !== 'generic',
  }
}

const nameKey = (name: string) => name.toLowerCase().replace(/[-_.]+/g, '-')
const versionKey = (version: string) =>
  version
    .trim()
    .replace(/^0:/, '')
    .replace(/^(?:go|v)(?=\d)/, '')

/** Name and version in the spelling in which a finding and a package record meet. */
export const meetingKey = (name: string, version: string): string =>
  `${nameKey(name)}\u0000${versionKey(version)}`

/** Every spelling under which a finding may name the package of a record. */
export function meetingKeys(record: NamedRecord): Set<string> {
  const { namespace, name, printed, type } = record
  const inNamespace = namespace && !isOsType(type)
  const names = [
    printed.name,
    ...(inNamespace ? [`${namespace}${type === 'maven' ? ':' : '/'}${name}`] : [name]),
    ...(type === 'maven' ? [name] : []),
  ]
  return new Set(
    names.flatMap((each) => [meetingKey(each, printed.version), meetingKey(each, record.version)]),
  )
}
