import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { text } from '../../http/page-filters.ts'
import type { ParameterText } from '../../http/page-schemas.ts'
import { listSpec, type Page, type PageRequest, pageOf } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import { readTotal, totalStatement } from '../../http/total.ts'

export const TAG_LIST = listSpec({
  name: 'tags',
  sorts: ['movedAt', 'name'],
  defaultSort: { column: 'movedAt', direction: 'desc' },
  filters: { search: text(100) },
})

export const TAG_FILTER_TEXTS: Record<keyof typeof TAG_LIST.filters, ParameterText> = {
  search: { description: 'Part of the tag, in any case', example: '1.27' },
}

type TagSort = 'movedAt' | 'name'
export type TagListRequest = PageRequest<TagSort, { search: string }>

/** A tag with the counts of the artifact that it shows; null until it was scanned. Times in milliseconds. */
export interface TagRow {
  id: string
  name: string
  /** What the tag points at, often an index; null until it was resolved. */
  digest: string | null
  createdAt: number
  movedAt: number
  lastScannedAt: number | null
  grade: string | null
  risk: number | null
  critical: number | null
  high: number | null
  medium: number | null
  low: number | null
  /** JSON array. */
  platforms: string
}

const MOST_PLATFORMS = 50

const COLUMNS = `t.id, t.name, t.digest, t.created_at AS createdAt, t.moved_at AS movedAt,
  a.scanned_at AS lastScannedAt, a.grade, a.risk, a.critical, a.high, a.medium, a.low,
  (SELECT json_group_array(platform) FROM (SELECT DISTINCT pa.platform FROM tag_artifacts ta
    CROSS JOIN artifacts pa ON pa.id = ta.artifact
    WHERE ta.org = t.org AND ta.tag_id = t.id ORDER BY pa.platform LIMIT ${MOST_PLATFORMS})) AS platforms`

const WALKS: Record<TagSort, { index: string; columns: readonly string[] }> = {
  movedAt: { index: 'tags_moved', columns: ['t.moved_at', 't.id'] },
  name: { index: 'tags_name', columns: ['t.name'] },
}

/** The tags of an image, a page of them. One round trip. Throws NOT_FOUND. */
export async function listTags(
  ctx: Context,
  imageId: string,
  request: TagListRequest,
): Promise<Page<TagRow>> {
  const org = ctx.organization.num
  const { index, columns } = WALKS[request.sort.column]
  const { after, order, window } = keyset(request, columns)
  const { search } = request.filters
  const where = sql`t.org = ${org} AND t.image_id = ${imageId}
    AND ${search ? sql`instr(lower(t.name), lower(${search}))` : raw('1')}`
  const counted = sql`FROM tags t INDEXED BY tags_name WHERE ${where}`
  const [images, rows, total] = await ctx.db.batch([
    sql`SELECT 1 FROM images i WHERE i.id = ${imageId} AND i.org = ${org}`,
    sql`SELECT ${raw(COLUMNS)} FROM tags t INDEXED BY ${raw(index)} LEFT JOIN artifacts a ON a.id = t.artifact
      WHERE ${where} AND ${after} ORDER BY ${order} ${window}`,
    ...(request.cursor ? [] : [totalStatement(sql`SELECT 1 ${counted}`, sql`SELECT count(*) ${counted}`)]),
  ])
  if (images!.rows.length === 0) throw notFound('Image')
  const found = rows!.rows as unknown as TagRow[]
  return pageOf(request, found, total ? readTotal(total.rows[0]) : null, (row) =>
    request.sort.column === 'name' ? [row.name] : [row.movedAt, row.id],
  )
}
