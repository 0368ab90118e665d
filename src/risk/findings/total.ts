import type { Statement } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
import type { Total } from '../../http/pages.ts'

const EXACT_UP_TO = 10_000

/**
 * One row {total, estimate}: the number of rows of `rows`, exact up to 10,000; above that what `estimate`
 * selects.
 */
export const totalStatement = (rows: Statement, estimate: Statement): Statement =>
  sql`SELECT CASE WHEN counted > ${EXACT_UP_TO} THEN (${estimate}) ELSE counted END AS total,
    counted > ${EXACT_UP_TO} AS estimate
    FROM (SELECT count(*) AS counted FROM (${rows} LIMIT ${EXACT_UP_TO + 1}))`

/** What `totalStatement` selected. */
export function readTotal(row: Record<string, unknown> | undefined): Total {
  const { total, estimate } = row as { total: number; estimate: 0 | 1 }
  return estimate ? { total: Math.max(total, EXACT_UP_TO + 1), totalIsEstimate: true } : { total }
}
