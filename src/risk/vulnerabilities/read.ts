import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { notFound } from '../../http/problems.ts'
import {
  type AdvisoryText,
  MATCH_JOINS,
  type MatchRow,
  matchColumns,
  readAdvisoryText,
} from '../findings/index.ts'
import { matchNamed } from './named.ts'

/** A match with its advisory's text. Times in milliseconds; without text everything is null or empty. */
export type VulnerabilityRow = MatchRow & AdvisoryText

/** The text in the advisory's own row, where it is older than packs. Links and CWEs are JSON arrays. */
type Read = MatchRow &
  Omit<AdvisoryText, 'links' | 'cwes'> & { links: string | null; cwes: string | null; texts: string | null }

/**
 * One match by its internal id, or by an advisory id that names exactly one. One round trip. Throws NOT_FOUND
 * for an unknown, ambiguous or foreign id, and for a match that no live artifact shows.
 */
export async function readVulnerability(ctx: Context, id: string): Promise<VulnerabilityRow> {
  const org = ctx.organization.num
  const row = await ctx.db.first<Read>(
    sql`SELECT ${matchColumns(org)}, u.title, u.description, u.links, u.cwes, u.published_at AS publishedAt,
        u.modified_at AS modifiedAt, t.data AS texts
      FROM (${matchNamed(org, id)}) named
      CROSS JOIN matches m ON m.id = named.match ${raw(MATCH_JOINS)}
      LEFT JOIN advisory_texts t ON t.id = u.texts AND t.org = u.org`,
  )
  if (!row) throw notFound('Vulnerability')
  const { links, cwes, texts, ...rest } = row
  const packed = texts === null ? null : await readAdvisoryText(texts, row.vulnerability)
  return { ...rest, links: strings(links), cwes: strings(cwes), ...packed }
}

const strings = (json: string | null) => (json === null ? [] : (JSON.parse(json) as string[]))
