import type { Statement } from '../db/database.ts'
import { joined, raw, sql } from '../db/sql.ts'
import type { PageRequest } from './pages.ts'
import { invalid } from './problems.ts'

/** The SQL parts of one page, for `… WHERE ${after} ORDER BY ${order} ${window}`. */
export interface Keyset {
  /** The rows behind the cursor; true on pages by number. */
  after: Statement
  order: Statement
  /** LIMIT of one row more than the page holds, and the OFFSET of a page by number. */
  window: Statement
}

/**
 * Pages over `columns`, which end in a unique one and hold no NULL: a nullable one needs a generated column
 * beside it, and so does an INTEGER PRIMARY KEY, to which SQLite does not seek within a row value. All of them run
 * in the same direction, so that one index serves ascending and descending.
 */
export function keyset(request: PageRequest, columns: readonly string[]): Keyset {
  const { cursor, limit, page, sort } = request
  const falling = (sort.direction === 'desc') !== (cursor?.backwards ?? false)
  const order = raw(columns.map((column) => `${column} ${falling ? 'DESC' : 'ASC'}`).join(', '))
  if (!cursor) return { after: raw('1'), order, window: sql`LIMIT ${limit + 1} OFFSET ${(page - 1) * limit}` }
  if (cursor.keys.length !== columns.length) {
    throw invalid({ path: 'cursor', message: 'does not continue this list' })
  }
  const keys = joined(
    cursor.keys.map((key) => sql`${key}`),
    ', ',
  )
  return {
    after: sql`(${raw(columns.join(', '))}) ${raw(falling ? '<' : '>')} (${keys})`,
    order,
    window: sql`LIMIT ${limit + 1}`,
  }
}
