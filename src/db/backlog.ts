import { type Statement, statement } from './database.ts'

const MOST = 500 // rows that a look at one backlog reads; what is more is said to be at least that many

/** What waits somewhere: how many, of which a look counts the first 500, and since when the oldest of them. */
export interface Backlog {
  count: number
  isAtLeast: boolean
  oldestAt: number | null
}

/** Counts the rows of a SELECT of one column `at`, at most 501 of them. */
export const backlogOf = ({ sql, params }: Statement): Statement =>
  statement(`SELECT count(*) AS count, min(at) AS oldestAt FROM (${sql} LIMIT ${MOST + 1})`, ...params)

export function presentBacklog(row: Record<string, unknown> | undefined): Backlog {
  const { count = 0, oldestAt = null } = (row ?? {}) as Partial<Backlog>
  return { count: Math.min(count, MOST), isAtLeast: count > MOST, oldestAt }
}
