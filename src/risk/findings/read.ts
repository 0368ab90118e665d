import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { allOf, raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import type { Key } from '../../http/page-cursor.ts'
import { type Page, type PageRequest, pageOf } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import { readTotal, totalStatement } from '../../http/total.ts'
import { shownDigest } from '../../inventory/artifacts/index.ts'
import { decodeLocations, type Location } from './locations.ts'
import { type MatchFilters, type MatchSort, matchConditions } from './match-filters.ts'
import { MATCH_JOINS, type MatchRow, matchColumns } from './match-row.ts'
import { FINDING_ENGINES_SQL, VISIBLE_SQL } from './visible.ts'

/**
 * Whose findings: `select` gives at most one row {artifact, imageId, imageName, tag}, of this organization;
 * no row is "<resource> not found", a NULL artifact has no findings.
 */
export interface FindingPlace {
  resource: string
  select: Statement
}

export interface FindingRow extends MatchRow {
  /** Engines (bits) that find it in this artifact. */
  found: number
  /** When the package reached the image, milliseconds. */
  since: number
  image: { id: string; name: string; tag: string | null; digest: string | null }
  /** Digest of the layer that brought the package, and its path; the first of several. */
  layer: string | null
  path: string | null
}

export type FindingListRequest = PageRequest<MatchSort, MatchFilters>

type Read = Omit<FindingRow, 'image' | 'layer' | 'path'> & { k0: Key; k1: Key; k2?: Key; k3?: Key }
type Place = {
  imageId: string
  imageName: string
  tag: string | null
  digest: string | null
  layers: string | null
}

const DETECTED = 'max(m.seen_at, ap.since)'

const ORDER_COLUMNS: Record<MatchSort, readonly string[]> = {
  severity: ['m.severity', 'm.score', 'm.id'],
  cvss: ['m.score', 'm.id'],
  cveId: ['m.vulnerability', 'm.id'],
  detectedAt: [DETECTED, 'm.id'],
  triageStatus: ['m.status', 'm.severity', 'm.score', 'm.id'],
}

/**
 * The findings of one artifact, a page of them, as an image, tag or scan shows it. One round trip; reads the
 * artifact's links and findings once for the page and once for the total. Throws NOT_FOUND.
 */
export async function listFindings(
  ctx: Context,
  place: FindingPlace,
  request: FindingListRequest,
): Promise<Page<FindingRow>> {
  const statements = findingStatements(ctx.organization.num, place, request)
  const [places, locations, rows, counted] = await ctx.db.batch(statements)
  const here = places!.rows[0] as Place | undefined
  if (!here) throw notFound(place.resource)
  const total = request.cursor ? null : readTotal(counted?.rows[0])
  const page = pageOf(request, rows!.rows as unknown as Read[], total, ({ k0, k1, k2, k3 }) =>
    [k0, k1, k2, k3].filter((key) => key !== undefined),
  )
  const chunks = locations!.rows as { chunk: number; data: string }[]
  const where = await locationsOf(page.data, chunks)
  const layers = JSON.parse(here.layers ?? '[]') as { digest: string }[]
  const image = { id: here.imageId, name: here.imageName, tag: here.tag, digest: shownDigest(here.digest) }
  return {
    ...page,
    data: page.data.map((row) => {
      const [path, layer] = where.get(row.packageId) ?? [null, null]
      return { ...row, image, path, layer: layer === null ? null : (layers[layer]?.digest ?? null) }
    }),
  }
}

/** Place, locations, page, and the count of all pages where the cursor does not carry it. */
export function findingStatements(
  org: number,
  place: FindingPlace,
  request: FindingListRequest,
): Statement[] {
  const columns = ORDER_COLUMNS[request.sort.column]
  const names = columns.map((_, index) => `k${index}`)
  const keys = columns.map((column, index) => `${column} AS k${index}`).join(', ')
  const filters = allOf(matchConditions(request.filters, FINDING_ENGINES_SQL))
  const { order, window } = keyset(request, names)
  const findings = (what: string, after: Statement) =>
    sql`SELECT ${raw(what)} FROM (${place.select}) here
      CROSS JOIN artifacts a ON a.id = here.artifact
      CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
      CROSS JOIN matches m INDEXED BY matches_key ON m.org = ap.org AND m.package = ap.package
      LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = a.id
      WHERE a.org = ${org} AND ${raw(VISIBLE_SQL)} AND ${filters} AND ${after}`
  const what = `m.id AS match, ap.since AS since, ${FINDING_ENGINES_SQL} AS found, ${keys}`
  const statements = [
    sql`SELECT here.imageId, here.imageName, here.tag, a.digest, a.layers
      FROM (${place.select}) here LEFT JOIN artifacts a ON a.id = here.artifact AND a.org = ${org}`,
    sql`SELECT l.chunk, l.data FROM (${place.select}) here
      CROSS JOIN artifact_locations l ON l.org = ${org} AND l.artifact = here.artifact ORDER BY l.chunk`,
    sql`SELECT ${matchColumns(org)}, page.found, page.since, ${raw(names.map((name) => `page.${name}`).join(', '))}
      FROM (${findings(what, keyset(request, columns).after)} ORDER BY ${order} ${window}) page
      CROSS JOIN matches m ON m.id = page.match ${raw(MATCH_JOINS)}`,
  ]
  if (request.cursor) return statements
  const counters = sql`SELECT coalesce(sum(a.critical + a.high + a.medium + a.low + a.unknown), 0)
    FROM (${place.select}) here CROSS JOIN artifacts a ON a.id = here.artifact AND a.org = ${org}`
  return [...statements, totalStatement(findings('1', raw('1')), counters)]
}

/** The first location of each row's package. Only chunks that hold one are opened. */
async function locationsOf(
  rows: readonly { packageId: number }[],
  chunks: readonly { chunk: number; data: string }[],
): Promise<Map<number, Location>> {
  const wanted = new Set(
    rows.flatMap(({ packageId }) => chunks.findLast(({ chunk }) => chunk <= packageId) ?? []),
  )
  const opened = await Promise.all([...wanted].map(({ data }) => decodeLocations(data)))
  return new Map(opened.flatMap((places) => [...places].map(([id, [first]]) => [id, first!] as const)))
}
