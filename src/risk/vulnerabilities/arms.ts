import type { Statement } from '../../db/database.ts'
import { allOf, joined, raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { SEVERITIES } from '../../scanning/sensors/result.ts'
import { type MatchSort, TRIAGE_STATUSES, VISIBLE_SQL } from '../findings/index.ts'
import type { VulnerabilityListRequest } from './list-spec.ts'

/**
 * How a list of matches is walked: one arm, or a few that are merged. Each names its index and, where it can,
 * delivers the order that was asked for; the others gather what one package, advisory or image has and sort it.
 */
export interface Arm {
  from: Statement
  where: Statement
  /** Columns that have one value in all rows of the arm. */
  fixed: Fixed
}

type Fixed = { 'm.severity'?: number; 'm.status'?: number }

export const ORDER_COLUMNS: Record<MatchSort, readonly string[]> = {
  severity: ['m.severity', 'm.score', 'm.id_order'],
  cvss: ['m.score', 'm.id_order'],
  cveId: ['m.vulnerability', 'm.id_order'],
  detectedAt: ['m.seen_at', 'm.id_order'],
  triageStatus: ['m.status', 'm.severity', 'm.score', 'm.id_order'],
}

const walk = (index: string, org: number, fixed: Fixed = {}, where: Statement = raw('1')): Arm => ({
  from: raw(`matches m INDEXED BY ${index}`),
  where: sql`m.org = ${org} AND ${where}`,
  fixed,
})

const DECIDED = raw('m.status <> 0') // what the partial index holds

/** The index of each order: of all matches, and within one severity. */
const INDEXES: Record<Exclude<MatchSort, 'triageStatus'>, [all: string, ofSeverity: string]> = {
  severity: ['matches_severity', 'matches_severity'],
  cvss: ['matches_cvss', 'matches_severity'],
  cveId: ['matches_vulnerability', 'matches_severity_vulnerability'],
  detectedAt: ['matches_seen', 'matches_severity_seen'],
}

/** At most five: D1 compounds no more. */
export function armsOf({ filters, sort }: VulnerabilityListRequest, org: number): Arm[] {
  if (filters.image) return [ofImage(filters.image, org)]
  if (filters.cveId) return [walk('matches_vulnerability', org, {}, sql`m.vulnerability = ${filters.cveId}`)]
  if (filters.package) return [ofPackage(filters.package, org)]
  if (filters.status && filters.status !== 'OPEN') {
    return [walk('matches_status', org, { 'm.status': TRIAGE_STATUSES.indexOf(filters.status) }, DECIDED)]
  }
  const narrowed = filters.severity && filters.severity.length < SEVERITIES.length
  const severities: Fixed[] = narrowed
    ? filters.severity!.map((severity) => ({ 'm.severity': SEVERITIES.indexOf(severity) }))
    : [{}]
  if (sort.column === 'triageStatus') {
    const open = severities.map((severity) => walk('matches_severity', org, { ...severity, 'm.status': 0 }))
    return filters.status ? open : [walk('matches_status', org, {}, DECIDED), ...open]
  }
  const [all, ofSeverity] = INDEXES[sort.column]
  return severities.map((severity) => walk(narrowed ? ofSeverity : all, org, severity))
}

const ofPackage = (name: string, org: number): Arm => ({
  from: raw(`packages p INDEXED BY packages_key
    CROSS JOIN matches m INDEXED BY matches_key ON m.org = p.org AND m.package = p.id`),
  where: sql`p.org = ${org} AND p.name = ${name}`,
  fixed: {},
})

/** Matches that a live artifact of the image shows, each once. */
const ofImage = (image: string, org: number): Arm => ({
  from: raw('matches m NOT INDEXED'),
  where: sql`m.org = ${org} AND m.id IN (SELECT m.id
    FROM (SELECT id FROM images WHERE org = ${org} AND id = ${image}
      UNION ALL SELECT id FROM images INDEXED BY images_name WHERE org = ${org} AND name = ${image}) i
    CROSS JOIN artifacts a INDEXED BY artifacts_digest ON a.org = ${org} AND a.image_id = i.id
    CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
    CROSS JOIN matches m INDEXED BY matches_key ON m.org = ap.org AND m.package = ap.package
    LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = a.id
    WHERE ${raw(VISIBLE_SQL)})`,
  fixed: {},
})

/**
 * The rows of an arm that lie behind the request's cursor. Columns that the arm fixes are compared here: as part
 * of the row value they would keep SQLite from seeking to it.
 */
function behindCursor({ fixed }: Arm, request: VulnerabilityListRequest): Statement {
  const columns = ORDER_COLUMNS[request.sort.column]
  const { cursor, sort } = request
  if (!cursor) return raw('1')
  const falling = (sort.direction === 'desc') !== cursor.backwards
  let seen = 0
  for (const column of columns) {
    const value = fixed[column as keyof Fixed]
    if (value === undefined) break
    const at = Number(cursor.keys[seen])
    if (value !== at) return raw(value < at === falling ? '1' : '0')
    seen++
  }
  return keyset({ ...request, cursor: { ...cursor, keys: cursor.keys.slice(seen) } }, columns.slice(seen))
    .after
}

const fixedTo = (fixed: Fixed): Statement =>
  allOf(Object.entries(fixed).map(([column, value]) => sql`${raw(column)} = ${value}`))

/** All arms as one SELECT of `columns`, in no order; with a request only what lies behind its cursor. */
export const unionOf = (
  arms: readonly Arm[],
  columns: string,
  filtered: Statement,
  request?: VulnerabilityListRequest,
): Statement =>
  joined(
    arms.map((arm) => {
      const part = request ? behindCursor(arm, request) : raw('1')
      return sql`SELECT ${raw(columns)} FROM ${arm.from} WHERE ${arm.where} AND ${fixedTo(arm.fixed)} AND ${part} AND ${filtered}`
    }),
    ' UNION ALL ',
  )
