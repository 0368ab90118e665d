import type { Statement } from '../../db/database.ts'
import { joined, raw, sql } from '../../db/sql.ts'
import { flag, manyOf, oneOf, text } from '../../http/page-filters.ts'
import type { ParameterText } from '../../http/page-schemas.ts'
import { ENGINES, type EngineName, SEVERITIES, type Severity } from '../../scanning/sensors/result.ts'
import { ENGINE_BIT, isFindingEngine } from './engines.ts'
import { TRIAGE_STATUSES, type TriageStatus } from './triage-status.ts'

/** The filters that every list of matches or findings offers, and their orders. */

export interface MatchFilters extends Record<string, unknown> {
  severity: Severity[]
  status: TriageStatus
  scanner: EngineName
  package: string
  cveId: string
  search: string
  fixable: boolean
}

export const MATCH_SORTS = ['severity', 'cveId', 'detectedAt', 'cvss', 'triageStatus'] as const
export type MatchSort = (typeof MATCH_SORTS)[number]

const MAX_ID_CHARS = 128 // the longest advisory id that is stored
const MAX_SEARCH_CHARS = 100

export const MATCH_FILTERS = {
  severity: manyOf(SEVERITIES),
  status: oneOf(TRIAGE_STATUSES),
  scanner: oneOf(ENGINES),
  package: text(),
  cveId: advisoryId,
  search: text(MAX_SEARCH_CHARS),
  fixable: flag(),
}

export const MATCH_FILTER_TEXTS: Record<keyof typeof MATCH_FILTERS, ParameterText> = {
  severity: { description: 'One or more severities, comma separated', example: 'CRITICAL,HIGH' },
  status: { description: `Triage status: ${TRIAGE_STATUSES.join(', ')}`, example: 'OPEN' },
  scanner: { description: `Reported by this engine: ${ENGINES.join(', ')}`, example: 'grype' },
  package: { description: 'Exact package name', example: 'openssl' },
  cveId: { description: 'Exact CVE or advisory id', example: 'CVE-2024-5535' },
  search: { description: 'Part of a package name or of a CVE id, in any case', example: 'ssl' },
  fixable: { description: 'Whether a fixed version is known', example: 'true' },
}

/** An advisory id; CVE ids in upper case, as they are stored. */
function advisoryId(given: string) {
  const read = text(MAX_ID_CHARS)(given)
  return 'value' in read && /^cve-/i.test(read.value) ? { value: read.value.toUpperCase() } : read
}

/**
 * The filters as conditions on `m` (matches). `engines` is the SQL of the engines that count. The unary plus
 * keeps the planner on the index that the statement names.
 */
export function matchConditions(filters: Partial<MatchFilters>, engines = 'm.engines'): Statement[] {
  const conditions: Statement[] = []
  if (filters.severity) {
    const levels = filters.severity.map((severity) => sql`${SEVERITIES.indexOf(severity)}`)
    conditions.push(sql`+m.severity IN (${joined(levels, ', ')})`)
  }
  if (filters.status) conditions.push(sql`+m.status = ${TRIAGE_STATUSES.indexOf(filters.status)}`)
  if (filters.scanner) {
    const bit = isFindingEngine(filters.scanner) ? ENGINE_BIT[filters.scanner] : 0
    conditions.push(sql`(${raw(engines)} & ${bit}) <> 0`)
  }
  if (filters.package) conditions.push(sql`+m.name = ${filters.package}`)
  if (filters.cveId) conditions.push(sql`+m.vulnerability = ${filters.cveId}`)
  if (filters.search) {
    conditions.push(
      sql`(instr(lower(m.name), lower(${filters.search})) OR instr(lower(m.vulnerability), lower(${filters.search})))`,
    )
  }
  if (filters.fixable !== undefined) {
    conditions.push(raw(`m.fixed_version IS ${filters.fixable ? 'NOT NULL' : 'NULL'}`))
  }
  return conditions
}
