import type { Advisory, AdvisorySource, Affected, Rating, Severity } from './advisory.ts'
import { intervalsOf } from './intervals.ts'
import { ecosystemOf, type OsvRecord } from './osv-record.ts'
import { scoreVector, severityOfScore } from './score-vector.ts'

export interface SourcedRecord {
  source: AdvisorySource
  record: OsvRecord
}

const CVE = /^CVE-\d{4}-\d{4,}$/
const GHSA = /^GHSA(-[0-9a-z]{4}){3}$/

/**
 * One advisory for each vulnerability, sorted by id. Records join where they name the same CVE; a record with several
 * CVEs belongs to each of them; one without a CVE joins the record whose GHSA id it names, else stands under its own id.
 */
export function joinRecords(records: readonly SourcedRecord[]): Advisory[] {
  const cvesOfGhsa = new Map<string, string[]>()
  for (const { record } of records) {
    const cves = namesOf(record).filter((name) => CVE.test(name))
    for (const name of namesOf(record)) if (GHSA.test(name) && cves.length) cvesOfGhsa.set(name, cves)
  }
  const joined = new Map<string, Advisory>()
  for (const sourced of records) {
    for (const id of idsOf(sourced.record, cvesOfGhsa)) {
      const advisory = joined.get(id) ?? emptyAdvisory(id)
      addRecord(advisory, sourced)
      joined.set(id, advisory)
    }
  }
  return [...joined.values()]
    .filter((advisory) => advisory.affected.length > 0)
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

function idsOf(record: OsvRecord, cvesOfGhsa: ReadonlyMap<string, string[]>): string[] {
  const names = namesOf(record)
  const cves = names.filter((name) => CVE.test(name))
  if (cves.length) return cves
  const ghsa = names.find((name) => GHSA.test(name))
  return (ghsa && cvesOfGhsa.get(ghsa)) || [ghsa ?? record.id]
}

/** The record's public names; Debian's and Alpine's own ids only repeat the CVE's. */
function namesOf(record: OsvRecord): string[] {
  const names = [record.id, ...record.aliases].filter((name) => !/^(DEBIAN|ALPINE)-CVE-/.test(name))
  return [...new Set(names)]
}

function emptyAdvisory(id: string): Advisory {
  return {
    id,
    aliases: [],
    cwes: [],
    published: null,
    modified: null,
    ratings: [],
    affected: [],
    knownExploited: null,
  }
}

function addRecord(advisory: Advisory, { source, record }: SourcedRecord): void {
  const others = namesOf(record).filter((name) => name !== advisory.id && !CVE.test(name))
  advisory.aliases = [...new Set([...advisory.aliases, ...others])].sort()
  advisory.cwes = [...new Set([...advisory.cwes, ...(record.database_specific.cwe_ids ?? [])])].sort()
  advisory.published = earlier(advisory.published, record.published ?? null)
  advisory.modified = later(advisory.modified, record.modified ?? null)
  advisory.knownExploited ??= record.database_specific.kev ?? null
  const rating = ratingOf(source, record)
  if (rating && !advisory.ratings.some((known) => known.source === source)) advisory.ratings.push(rating)
  advisory.affected.push(...affectedOf(source, record))
}

function ratingOf(source: AdvisorySource, record: OsvRecord): Rating | null {
  const cvss = record.severity.map(({ score }) => scoreVector(score))
  const severity = severityOf(record)
  return severity === 'UNKNOWN' && cvss.length === 0 ? null : { source, severity, cvss }
}

/** The source's own label; without one the band of its vector of version 3, else of its first. */
function severityOf(record: OsvRecord): Severity {
  const label = record.database_specific.severity?.toUpperCase()
  if (label) return label === 'MODERATE' ? 'MEDIUM' : (label as Severity)
  const scores = record.severity.map(({ score }) => scoreVector(score))
  const scored = scores.find(({ version }) => version.startsWith('3')) ?? scores[0]
  return scored ? severityOfScore(scored.score) : 'UNKNOWN'
}

function affectedOf(source: AdvisorySource, record: OsvRecord): Affected[] {
  const byPackage = new Map<string, Affected>()
  for (const entry of record.affected) {
    const where = ecosystemOf(entry.package.ecosystem)
    if (!where) continue
    const packageName =
      where.ecosystem === 'pypi' ? normalizePypiName(entry.package.name) : entry.package.name
    const key = `${where.ecosystem}/${packageName}`
    const affected = byPackage.get(key) ?? {
      source,
      advisoryId: record.id,
      ghsaId: namesOf(record).find((name) => GHSA.test(name)) ?? null,
      ...where,
      packageName,
      intervals: [],
      versions: [],
      severity: severityOf(record),
    }
    for (const range of entry.ranges) affected.intervals.push(...intervalsOf(range.events))
    if (entry.ranges.length === 0) affected.versions.push(...entry.versions)
    byPackage.set(key, affected)
  }
  return [...byPackage.values()]
}

/** A Python project's name as PEP 503 compares them. */
function normalizePypiName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

const earlier = (a: string | null, b: string | null) => (a && b ? (a < b ? a : b) : (a ?? b))
const later = (a: string | null, b: string | null) => (a && b ? (a > b ? a : b) : (a ?? b))
