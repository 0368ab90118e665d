import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { allOf, joined, raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { integer, manyOf, text } from '../../http/page-filters.ts'
import type { ParameterText } from '../../http/page-schemas.ts'
import { listSpec, type Page, type PageRequest, pageOf } from '../../http/pages.ts'
import { readTotal, totalStatement } from '../../http/total.ts'
import type { ImageRow } from './row.ts'
import { IMAGE_COLUMNS } from './row.ts'

const GRADES = ['A', 'B', 'C', 'D'] as const
const MAX_SEARCH_CHARS = 100

export interface ImageFilters extends Record<string, unknown> {
  registry: string
  riskScore: number
  grade: (typeof GRADES)[number][]
  search: string
}

export const IMAGE_LIST = listSpec({
  name: 'images',
  sorts: ['name', 'createdAt', 'riskScore'],
  defaultSort: { column: 'name', direction: 'asc' },
  filters: {
    registry: text(64),
    riskScore: integer(0, 100),
    grade: manyOf(GRADES),
    search: text(MAX_SEARCH_CHARS),
  },
})

export const IMAGE_FILTER_TEXTS: Record<keyof typeof IMAGE_LIST.filters, ParameterText> = {
  registry: { description: 'Of this registry, by id', example: 'reg_5t1r6w7m2k9q4x0v8b3n' },
  riskScore: { description: 'At least this risk score', example: '40' },
  grade: { description: 'One or more grades, comma separated', example: 'C,D' },
  search: { description: 'Part of the name, in any case', example: 'acme/api' },
}

type ImageSort = 'name' | 'createdAt' | 'riskScore'
export type ImageListRequest = PageRequest<ImageSort, ImageFilters>

const WALKS: Record<ImageSort, { index: string; columns: readonly [string, string] }> = {
  name: { index: 'images_name', columns: ['i.name', 'i.id'] },
  createdAt: { index: 'images_created', columns: ['i.created_at', 'i.id'] },
  riskScore: { index: 'images_risk', columns: ['i.risk_order', 'i.id'] },
}

/** Within one registry names differ in the repository only. */
const WITHIN_REGISTRY = { index: 'images_repository', columns: ['i.repository', 'i.id'] as const }

/**
 * The organization's images, a page of them. One round trip; one row for each image that it passes. Images that
 * were never scanned have the lowest risk of the order and none of the filter.
 */
export async function listImages(ctx: Context, request: ImageListRequest): Promise<Page<ImageRow>> {
  const [page, total] = imageStatements(ctx.organization.num, request)
  const [rows, counted] = await ctx.db.batch(total ? [page!, total] : [page!])
  const found = rows!.rows as unknown as (ImageRow & { k0: string | number; k1: string })[]
  return pageOf(request, found, total ? readTotal(counted?.rows[0]) : null, ({ k0, k1 }) => [k0, k1])
}

/** The page, and the count of all pages where the cursor does not carry it. */
export function imageStatements(org: number, request: ImageListRequest): Statement[] {
  const { filters, sort } = request
  const { index, columns } = filters.registry && sort.column === 'name' ? WITHIN_REGISTRY : WALKS[sort.column]
  const { after, order, window } = keyset(request, columns)
  const where = allOf(conditions(filters))
  const behind = allOf([after, ...lowestRisk(request)])
  const page = sql`SELECT ${raw(IMAGE_COLUMNS)}, ${raw(columns[0])} AS k0, i.id AS k1
    FROM images i INDEXED BY ${raw(index)}
    WHERE i.org = ${org} AND ${where} AND ${behind} ORDER BY ${order} ${window}`
  if (request.cursor) return [page]
  const counting = filters.registry ? 'images_repository' : 'images_risk'
  const from = sql`FROM images i INDEXED BY ${raw(counting)} WHERE i.org = ${org} AND ${allOf([where, ...lowestRisk({ ...request, cursor: null })])}`
  return [page, totalStatement(sql`SELECT 1 ${from}`, sql`SELECT count(*) ${from}`)]
}

function conditions({ registry, grade, search }: Partial<ImageFilters>): Statement[] {
  const all: Statement[] = []
  if (registry) all.push(sql`i.registry_id = ${registry}`)
  if (grade) {
    const grades = grade.map((letter) => sql`${letter}`)
    all.push(sql`i.grade IN (${joined(grades, ', ')})`)
  }
  if (search) all.push(sql`instr(lower(i.name), lower(${search}))`)
  return all
}

/** The lowest score as a bound of the index; as a mere filter where the cursor bounds the same side already. */
function lowestRisk({ filters, sort, cursor }: ImageListRequest): Statement[] {
  if (filters.riskScore === undefined) return []
  const rising = cursor && (sort.direction === 'asc') !== cursor.backwards
  return [sql`${raw(rising ? '+i.risk_order' : 'i.risk_order')} >= ${filters.riskScore}`]
}
