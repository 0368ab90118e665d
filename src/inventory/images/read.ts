import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { notFound } from '../../http/problems.ts'
import { IMAGE_COLUMNS, type ImageRow } from './row.ts'

/** One image of the organization. Throws NOT_FOUND. */
export async function readImage(ctx: Context, imageId: string): Promise<ImageRow> {
  const row = await ctx.db.first<ImageRow>(
    sql`SELECT ${raw(IMAGE_COLUMNS)} FROM images i WHERE i.id = ${imageId} AND i.org = ${ctx.organization.num}`,
  )
  if (!row) throw notFound('Image')
  return row
}
