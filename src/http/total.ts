import type { Statement } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { Total } from './pages.ts'

/** Counts of lists: one row {total, estimate}, exact where they are kept, else up to 10,000. */

const EXACT_UP_TO = 10_000

/** Counts `rows`, and stops behind 10,000: then the total is what `estimate` selects. For filters that keep few rows. */
export const totalStatement = (rows: Statement, estimate: Statement): Statement =>
  sql`SELECT CASE WHEN counted > ${EXACT_UP_TO} THEN (${estimate}) ELSE counted END AS total,
    counted > ${EXACT_UP_TO} AS estimate
    FROM (SELECT count(*) AS counted FROM (${rows} LIMIT ${EXACT_UP_TO + 1}))`

/** Counts the cheap `candidates` first, and `rows` among them only where they are at most 10,000. */
export const candidatesFirst = (rows: Statement, candidates: Statement): Statement =>
  sql`SELECT CASE WHEN counted > ${EXACT_UP_TO} THEN counted ELSE (SELECT count(*) FROM (${rows})) END AS total,
    counted > ${EXACT_UP_TO} AS estimate
    FROM (SELECT count(*) AS counted FROM (${candidates}))`

/** The total that is `kept` ({total, estimate}, or no row); only where there is none, `counted`. */
export const keptOrCounted = (kept: Statement, counted: Statement): Statement =>
  sql`${kept} UNION ALL SELECT total, estimate FROM (${counted}) LIMIT 1`

/** What these statements selected. */
export function readTotal(row: Record<string, unknown> | undefined): Total {
  const { total, estimate } = row as { total: number; estimate: 0 | 1 }
  return estimate ? { total: Math.max(total, EXACT_UP_TO + 1), totalIsEstimate: true } : { total }
}
