import type { Statement } from '../../db/database.ts'
import { joined, raw, sql } from '../../db/sql.ts'
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
  /** A column of the order whose values the arm narrows, ends included. */
  range?: { column: 'm.severity' | 'm.status'; from: number; to: number }
}

export const ORDER_COLUMNS: Record<MatchSort, readonly string[]> = {
  severity: ['m.severity', 'm.score', 'm.id_order'],
  cvss: ['m.score', 'm.id_order'],
  cveId: ['m.vulnerability', 'm.id_order'],
  detectedAt: ['m.seen_at', 'm.id_order'],
  triageStatus: ['m.status', 'm.severity', 'm.score', 'm.id_order'],
}

const walk = (index: string, org: number, range?: Arm['range'], where: Statement = raw('1')): Arm => ({
  from: raw(`matches m INDEXED BY ${index}`),
  where: sql`m.org = ${org} AND ${where}`,
  range,
})

const severityFrom = (from: number, to = from): Arm['range'] => ({ column: 'm.severity', from, to })
const statusOf = (status: number): Arm['range'] => ({ column: 'm.status', from: status, to: status })
const DECIDED = raw('m.status <> 0') // what the partial index holds

export function armsOf({ filters, sort }: VulnerabilityListRequest, org: number): Arm[] {
  if (filters.image) return [ofImage(filters.image, org)]
  if (filters.cveId) {
    return [walk('matches_vulnerability', org, undefined, sql`m.vulnerability = ${filters.cveId}`)]
  }
  if (filters.package) return [ofPackage(filters.package, org)]
  if (filters.status && filters.status !== 'OPEN') {
    return [walk('matches_status', org, statusOf(TRIAGE_STATUSES.indexOf(filters.status)), DECIDED)]
  }
  const severities = filters.severity?.map((severity) => SEVERITIES.indexOf(severity)) ?? []
  switch (sort.column) {
    case 'severity':
      return severities.length === 0
        ? [walk('matches_severity', org)]
        : runs(severities).map(([from, to]) => walk('matches_severity', org, severityFrom(from, to)))
    case 'cvss':
      return severities.length === 0 || severities.length === SEVERITIES.length
        ? [walk('matches_cvss', org)]
        : severities.map((severity) => walk('matches_severity', org, severityFrom(severity)))
    case 'cveId':
      return [walk('matches_vulnerability', org)]
    case 'detectedAt':
      return [walk('matches_seen', org)]
    case 'triageStatus': {
      const open = walk('matches_severity', org, statusOf(0))
      return filters.status ? [open] : [walk('matches_status', org, undefined, DECIDED), open]
    }
  }
}

/** Neighbouring levels as ranges: [1, 3, 4] is 1–1 and 3–4. */
function runs(levels: readonly number[]): [number, number][] {
  const ranges: [number, number][] = []
  for (const level of [...levels].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[1] === level - 1) last[1] = level
    else ranges.push([level, level])
  }
  return ranges
}

const ofPackage = (name: string, org: number): Arm => ({
  from: raw(`packages p INDEXED BY packages_key
    CROSS JOIN matches m INDEXED BY matches_key ON m.org = p.org AND m.package = p.id`),
  where: sql`p.org = ${org} AND p.name = ${name}`,
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
})

/**
 * The rows of an arm that lie behind the request's cursor. Range and cursor never bound the same side of the
 * same column: SQLite would seek by one of them and read everything up to the other.
 */
function behindCursor({ range }: Arm, request: VulnerabilityListRequest): Statement {
  const columns = ORDER_COLUMNS[request.sort.column]
  const { cursor, sort } = request
  const { after } = keyset(request, columns)
  if (!range) return after
  const within = between(range)
  if (!cursor || columns[0] !== range.column) return sql`${within} AND ${after}`
  const [key, ...keys] = cursor.keys
  const falling = (sort.direction === 'desc') !== cursor.backwards
  const at = Number(key)
  if (falling ? at > range.to : at < range.from) return within
  if (falling ? at < range.from : at > range.to) return raw('0')
  if (range.from < range.to) {
    const farEnd = falling ? sql`>= ${range.from}` : sql`<= ${range.to}`
    return sql`${raw(range.column)} ${farEnd} AND ${after}`
  }
  return sql`${within} AND ${keyset({ ...request, cursor: { ...cursor, keys } }, columns.slice(1)).after}`
}

const between = ({ column, from, to }: NonNullable<Arm['range']>): Statement =>
  from === to ? sql`${raw(column)} = ${from}` : sql`${raw(column)} BETWEEN ${from} AND ${to}`

/** All arms as one SELECT of `columns`, in no order; with a request only what lies behind its cursor. */
export const unionOf = (
  arms: readonly Arm[],
  columns: string,
  filtered: Statement,
  request?: VulnerabilityListRequest,
): Statement =>
  joined(
    arms.map((arm) => {
      const part = request ? behindCursor(arm, request) : arm.range ? between(arm.range) : raw('1')
      return sql`SELECT ${raw(columns)} FROM ${arm.from} WHERE ${arm.where} AND ${part} AND ${filtered}`
    }),
    ' UNION ALL ',
  )
