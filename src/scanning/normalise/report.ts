import type { z } from 'zod'
import {
  type CvssScore,
  type EngineName,
  type FindingEngine,
  type FixState,
  type ResultPackage,
  ResultVulnerability,
} from '../sensors/result.ts'
import type { Coordinates } from './identity.ts'
import { line, type Notes } from './text.ts'

export type PackageLocation = ResultPackage['locations'][number]

/** The engine printed something that is not its report. The runner reports it as `engine_output_invalid`. */
export class ReportInvalid extends Error {
  readonly engine: EngineName
  constructor(engine: EngineName, message: string) {
    super(message)
    this.name = 'ReportInvalid'
    this.engine = engine
  }
}

/** Parses a document with an engine's schema. Throws `ReportInvalid` that names the first wrong member, never its value. */
export function parseReport<S extends z.ZodType>(
  engine: EngineName,
  schema: S,
  document: unknown,
): z.output<S> {
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where =
    issue?.path
      .map((key) => (typeof key === 'number' ? '[]' : /^\w{1,40}$/.test(String(key)) ? String(key) : '*'))
      .join('.') || 'the document'
  throw new ReportInvalid(engine, `${engine}: ${where.slice(0, 200)} is not as expected (${issue?.code})`)
}

/** One package as one engine names it. `paths` also holds supporting evidence: for recognising, not for showing. */
export interface NamedPackage extends Coordinates {
  engine: EngineName
  distro: string | null
  source: ResultPackage['source']
  module: string | null
  owner: string | null
  licenses: string[]
  locations: PackageLocation[]
  paths: string[]
}

/** What one record of an advisory says. `id` is the id it is kept under: a finding may carry records of several. */
export interface AdvisoryRecord {
  id: string
  title: string | null
  description: string | null
  links: string[]
  cwes: { id: string | null; cwe: string }[]
  cvss: CvssScore[]
  publishedAt: string | null
  modifiedAt: string | null
}

/** One finding as one engine reports it. `records` begins with the engine's own. */
export interface NamedFinding {
  engine: FindingEngine
  reportedId: string
  relatedIds: string[]
  package: NamedPackage
  /** The syft artifact that grype matched, where it names one. */
  artifactId: string | null
  severity: string
  fixState: FixState
  fixedVersions: string[]
  records: AdvisoryRecord[]
}

/** The operating system as an engine names it. */
export interface NamedOs {
  family: string
  name: string
  endOfLife: boolean
}

export function namedOs(
  family: string | null | undefined,
  name: string | null | undefined,
  endOfLife: boolean,
  notes: Notes,
): NamedOs | null {
  const id = line(family, 64, 'os.family', notes)
  return id ? { family: id, name: line(name, 128, 'os.name', notes), endOfLife } : null
}

const DIGEST = /^sha256:[0-9a-f]{64}$/
const MAX_PATH = 4096

/** An absolute path in the image with the diff id of its layer. Path '' means that the engine names the layer only. */
export function location(
  path: string | null | undefined,
  layer: string | null | undefined,
  notes: Notes,
): PackageLocation {
  const clean = line(path, MAX_PATH - 1, 'location.path', notes).replace(/^\/+/, '')
  return { path: clean ? `/${clean}` : '', layer: layer && DIGEST.test(layer) ? layer : null }
}

/** An RFC 3339 instant as printed; Go's zero time and anything else is null. */
export function instant(value: string | null | undefined): string | null {
  if (!value || value.startsWith('0001-')) return null
  return ResultVulnerability.shape.publishedAt.safeParse(value).success ? value : null
}

/** http(s) links without control characters. One that is too long is left out: half a link leads nowhere. */
export function webLinks(values: (string | null | undefined)[], notes: Notes): string[] {
  const links = new Set<string>()
  for (const value of values) {
    const link = line(value, 4096, 'link', notes)
    if (!/^https?:\/\/[^\s]+$/i.test(link)) continue
    if (link.length > 2048) notes.count('links longer than 2048 characters left out')
    else links.add(link)
  }
  return [...links]
}

/** Cleans and bounds every text of a package. Null when nothing remains of its name. */
export function namedPackage(parts: NamedPackage, notes: Notes): NamedPackage | null {
  const text = (value: string | null, max: number, label: string) =>
    line(value, max, `package.${label}`, notes)
  const name = text(parts.name, 512, 'name')
  if (!name) {
    notes.count('packages without a name left out')
    return null
  }
  return {
    ...parts,
    type: text(parts.type, 64, 'type'),
    namespace: text(parts.namespace, 512, 'namespace') || null,
    name,
    version: text(parts.version, 512, 'version'),
    distro: text(parts.distro, 128, 'distro') || null,
    source: parts.source && {
      name: text(parts.source.name, 512, 'source'),
      version: text(parts.source.version, 512, 'source'),
    },
    module: text(parts.module, 256, 'module') || null,
    owner: text(parts.owner, 512, 'owner') || null,
    licenses: parts.licenses.map((license) => text(license, 256, 'license')).filter(Boolean),
  }
}

/** A score as the schema wants it; null (and counted) where the engine gives a vector without a score. */
export function cvssScore(
  source: string,
  version: string,
  vector: string | null | undefined,
  score: number | null | undefined,
  notes: Notes,
): CvssScore | null {
  const known = (['2.0', '3.0', '3.1', '4.0'] as const).find((v) => v === version)
  if (!known || typeof score !== 'number' || !(score >= 0 && score <= 10)) {
    notes.count('CVSS entries without version or score left out')
    return null
  }
  return {
    source: line(source.toLowerCase(), 64, 'cvss.source', notes),
    version: known,
    vector: line(vector, 512, 'cvss.vector', notes),
    score,
  }
}
