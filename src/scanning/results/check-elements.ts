import { z } from 'zod'
import {
  type CvssScore,
  ENGINES,
  FINDING_ENGINES,
  FIX_STATES,
  type ResultFinding,
  type ResultPackage,
  type ResultVulnerability,
  SEVERITIES,
  storable,
} from '../sensors/result.ts'
import type { ResultElements, ResultListName } from './result-source.ts'

/**
 * The element schemas of `result.ts` written out, some ten times as fast: a result has tens of thousands of elements. A test
 * holds them to the schemas, in verdict and in value.
 */

class NotValid extends Error {}
const INVALID = new NotValid('not valid')

type Members = Record<string, unknown>

function members(value: unknown): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw INVALID
  return value as Members
}

const STORABLE = /^[\x01-\x7f]*$/

/** Counted as the schemas count: a surrogate pair is one character. */
const isLonger = (value: string, max: number): boolean =>
  value.length > max && (value.length > 2 * max || [...value].length > max)

function text(value: unknown, max: number): string {
  if (typeof value !== 'string' || isLonger(value, max)) throw INVALID
  return STORABLE.test(value) ? value : storable(value)
}

const textOrNull = (value: unknown, max: number) => (value === null ? null : text(value, max))

function someText(value: unknown, max: number): string {
  if (value === '') throw INVALID
  return text(value, max)
}

function list<T>(value: unknown, max: number, each: (element: unknown) => T): T[] {
  if (!Array.isArray(value) || value.length > max) throw INVALID
  return value.map(each)
}

const texts = (value: unknown, maxLength: number, max: number) =>
  list(value, maxLength, (element) => text(element, max))

function oneOf<T extends string>(names: ReadonlySet<T>, value: unknown): T {
  if (!names.has(value as T)) throw INVALID
  return value as T
}

function index(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw INVALID
  return value as number
}

const INSTANT = z.core.regexes.datetime({ offset: true })

function instantOrNull(value: unknown): string | null {
  if (value === null) return null
  if (typeof value !== 'string' || !INSTANT.test(value)) throw INVALID
  return value
}

const DIGEST = /^sha256:[0-9a-f]{64}$/

function digestOrNull(value: unknown): string | null {
  if (value === null) return null
  if (typeof value !== 'string' || !DIGEST.test(value)) throw INVALID
  return value
}

const ENGINE_NAMES = new Set(ENGINES)
const FINDERS = new Set(FINDING_ENGINES)
const SEVERITY_NAMES = new Set(SEVERITIES)
const FIX_STATE_NAMES = new Set(FIX_STATES)
const CVSS_VERSIONS = new Set<CvssScore['version']>(['2.0', '3.0', '3.1', '4.0'])

function location(value: unknown): ResultPackage['locations'][number] {
  const { path, layer } = members(value)
  return { path: text(path, 4096), layer: digestOrNull(layer) }
}

function source(value: unknown): ResultPackage['source'] {
  if (value === null) return null
  const { name, version } = members(value)
  return { name: text(name, 512), version: text(version, 512) }
}

function engines(value: unknown): ResultPackage['listedBy'] {
  const listed = list(value, Number.POSITIVE_INFINITY, (name) => oneOf(ENGINE_NAMES, name))
  if (listed.length === 0) throw INVALID
  return listed
}

function aPackage(value: unknown): ResultPackage {
  const given = members(value)
  return {
    type: text(given.type, 64),
    namespace: textOrNull(given.namespace, 512),
    name: someText(given.name, 512),
    version: text(given.version, 512),
    distro: textOrNull(given.distro, 128),
    source: source(given.source),
    module: textOrNull(given.module, 256),
    owner: textOrNull(given.owner, 512),
    licenses: texts(given.licenses, 50, 256),
    listedBy: engines(given.listedBy),
    locations: list(given.locations, 1000, location),
  }
}

function aVulnerability(value: unknown): ResultVulnerability {
  const given = members(value)
  return {
    id: someText(given.id, 128),
    aliases: texts(given.aliases, 100, 128),
    title: textOrNull(given.title, 1000),
    description: textOrNull(given.description, 8000),
    links: texts(given.links, 50, 2048),
    cwes: texts(given.cwes, 50, 32),
    publishedAt: instantOrNull(given.publishedAt),
    modifiedAt: instantOrNull(given.modifiedAt),
  }
}

function score(value: unknown): CvssScore {
  const given = members(value)
  const points = given.score
  if (typeof points !== 'number' || !(points >= 0 && points <= 10)) throw INVALID
  return {
    source: text(given.source, 64),
    version: oneOf(CVSS_VERSIONS, given.version),
    vector: text(given.vector, 512),
    score: points,
  }
}

function aFinding(value: unknown): ResultFinding {
  const given = members(value)
  return {
    engine: oneOf(FINDERS, given.engine),
    package: index(given.package),
    vulnerability: index(given.vulnerability),
    reportedId: text(given.reportedId, 128),
    severity: oneOf(SEVERITY_NAMES, given.severity),
    cvss: list(given.cvss, 20, score),
    fixState: oneOf(FIX_STATE_NAMES, given.fixState),
    fixedVersions: texts(given.fixedVersions, 50, 512),
  }
}

const CHECKS: { [L in ResultListName]: (value: unknown) => ResultElements[L] } = {
  packages: aPackage,
  vulnerabilities: aVulnerability,
  findings: aFinding,
}

/** Elements, read from JSON, as `Result` would have them; null when one is not valid. */
export function checkedElements<L extends ResultListName>(
  name: L,
  given: readonly unknown[],
): ResultElements[L][] | null {
  try {
    return given.map(CHECKS[name])
  } catch (error) {
    if (error instanceof NotValid) return null
    throw error
  }
}
