import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { notFound } from '../../http/problems.ts'
import { MATCH_JOINS, type MatchRow, matchColumns } from '../findings/index.ts'
import { matchNamed } from './named.ts'

/** A match with its advisory's text. Times in milliseconds; without text everything is null. */
export interface VulnerabilityRow extends MatchRow {
  title: string | null
  description: string | null
  /** JSON arrays. */
  links: string | null
  cwes: string | null
  publishedAt: number | null
  modifiedAt: number | null
}

/**
 * One match by its internal id, or by an advisory id that names exactly one. One round trip. Throws NOT_FOUND
 * for an unknown, ambiguous or foreign id, and for a match that no live artifact shows.
 */
export async function readVulnerability(ctx: Context, id: string): Promise<VulnerabilityRow> {
  const org = ctx.organization.num
  const row = await ctx.db.first<VulnerabilityRow>(
    sql`SELECT ${matchColumns(org)}, u.title, u.description, u.links, u.cwes, u.published_at AS publishedAt,
        u.modified_at AS modifiedAt
      FROM (${matchNamed(org, id)}) named
      CROSS JOIN matches m ON m.id = named.match ${raw(MATCH_JOINS)}`,
  )
  if (!row) throw notFound('Vulnerability')
  return row
}
