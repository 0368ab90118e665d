import { rmSync } from 'node:fs'
import type { Advisory, AdvisorySource, Affected, Ecosystem, Rating } from '../advisories/advisory.ts'
import { preferredAffected } from '../advisories/preferred-affected.ts'
import { constraintsOf, grypeVersionRange } from './constraints.ts'
import { GrypeRows } from './grype-rows.ts'
import { referencesOf, trackerPage } from './references.ts'

/** Grype's ids of the providers; those it does not know itself keep the snapshot's name. */
const PROVIDER: Record<AdvisorySource, string> = {
  ghsa: 'github',
  pypa: 'pypa',
  govulndb: 'govulndb',
  'nodejs-wg': 'nodejs-wg',
  debian: 'debian',
  alpine: 'alpine',
  nvd: 'nvd',
}
/** Syft's package types, by which grype looks packages up. */
const PACKAGE_TYPE: Record<Ecosystem, string> = {
  npm: 'npm',
  pypi: 'python',
  go: 'go-module',
  maven: 'java-archive',
  debian: 'deb',
  alpine: 'apk',
}

/** Writes a v6 database file, ready for `grype db import`. `builtAt` is ISO 8601. The same input always gives the same bytes. */
export function writeGrypeDatabase(path: string, advisories: readonly Advisory[], builtAt: string): void {
  rmSync(path, { force: true })
  const rows = new GrypeRows(path)
  try {
    rows.describe(builtAt, [...Object.values(PROVIDER), 'kev'])
    for (const advisory of advisories) addAdvisory(rows, advisory)
    rows.commit()
  } finally {
    rows.close()
  }
}

function addAdvisory(rows: GrypeRows, advisory: Advisory): void {
  if (advisory.id.startsWith('CVE-')) addNvdRecord(rows, advisory)
  const handles = new Map<string, number>()
  for (const affected of preferredAffected(advisory)) {
    const name = recordName(advisory, affected)
    const key = `${affected.source} ${name}`
    const handle = handles.get(key) ?? addRecord(rows, advisory, affected, name)
    handles.set(key, handle)
    rows.affectedPackage({
      vulnerabilityId: handle,
      release: affected.release === null ? null : { name: affected.ecosystem, version: affected.release },
      packageType: PACKAGE_TYPE[affected.ecosystem],
      packageName: affected.packageName,
      blob: {
        ...(advisory.id.startsWith('CVE-') ? { cves: [advisory.id] } : {}),
        ranges: rangesOf(advisory, affected),
      },
    })
  }
}

/** NVD's record of the CVE: where grype finds its CVSS, weaknesses and exploitation, whatever record matched. */
function addNvdRecord(rows: GrypeRows, advisory: Advisory): void {
  const nvd = advisory.ratings.find(({ source }) => source === 'nvd')
  rows.vulnerability(advisory.id, 'nvd', advisory.published, advisory.modified, {
    id: advisory.id,
    refs: referencesOf(advisory).map((url) => ({ url })),
    severities: nvd ? cvssOf(nvd) : [],
  })
  for (const cwe of advisory.cwes) rows.weakness(advisory.id, cwe)
  if (advisory.knownExploited) rows.knownExploited(advisory.id, advisory.knownExploited)
}

function addRecord(rows: GrypeRows, advisory: Advisory, affected: Affected, name: string): number {
  const rating = advisory.ratings.find(({ source }) => source === affected.source)
  const aliases = [...new Set([advisory.id, ...advisory.aliases])].filter((alias) => alias !== name).sort()
  const isLanguage = affected.release === null
  const handle = rows.vulnerability(name, PROVIDER[affected.source], advisory.published, advisory.modified, {
    id: name,
    refs: pagesOf(advisory, affected).map((url) => ({ url })),
    ...(isLanguage ? { aliases } : {}),
    severities: [...labelOf(affected), ...(rating ? cvssOf(rating) : [])],
  })
  if (isLanguage) for (const alias of aliases) rows.alias(name, alias)
  return handle
}

/** The record's own page first: grype shows it as the match's data source. */
function pagesOf(advisory: Advisory, affected: Affected): string[] {
  if (affected.ecosystem === 'debian' || affected.ecosystem === 'alpine') {
    return [trackerPage(affected.ecosystem, advisory.id)]
  }
  return referencesOf(advisory, affected.advisoryId)
}

/** Languages are known by the source's own id, distributions by the CVE. */
function recordName(advisory: Advisory, affected: Affected): string {
  return affected.release === null ? affected.advisoryId : advisory.id
}

function labelOf(affected: Affected): object[] {
  if (affected.severity === 'UNKNOWN') return []
  const scheme = affected.release === null ? 'CHML' : 'CHMLN'
  return [{ scheme, value: affected.severity.toLowerCase(), rank: 1 }]
}

function cvssOf(rating: Rating): object[] {
  const origin = rating.source === 'nvd' ? { source: 'nvd@nist.gov', rank: 1 } : { rank: 2 }
  return rating.cvss.map(({ vector, version }) => ({ scheme: 'CVSS', value: { vector, version }, ...origin }))
}

function rangesOf(advisory: Advisory, affected: Affected): object[] {
  return constraintsOf(affected).map((constraint) => ({
    version: grypeVersionRange(affected.ecosystem, constraint),
    fix: constraint.fixed
      ? { version: constraint.fixed, state: 'fixed', ...fixDetail(advisory, affected) }
      : { state: 'not-fixed' },
  }))
}

function fixDetail(advisory: Advisory, affected: Affected): object {
  const available = advisory.published
    ? { available: { date: advisory.published.slice(0, 10), kind: 'advisory' } }
    : {}
  const [url] = pagesOf(advisory, affected)
  const references =
    affected.release === null && url
      ? { references: [{ url, id: affected.advisoryId, tags: ['advisory'] }] }
      : {}
  return { detail: { ...available, ...references } }
}
