import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { allOf, raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { type Page, pageOf } from '../../http/pages.ts'
import { candidatesFirst, keptOrCounted, readTotal, totalStatement } from '../../http/total.ts'
import {
  isShown,
  keptTotal,
  MATCH_JOINS,
  type MatchRow,
  matchColumns,
  matchConditions,
} from '../findings/index.ts'
import { armsOf, ORDER_COLUMNS, unionOf } from './arms.ts'
import type { VulnerabilityListRequest } from './list-spec.ts'

type Keyed = { k0: string | number; k1: string | number; k2?: string | number; k3?: string | number }

/**
 * The organization's matches that a live artifact shows, a page of them: one row for each vulnerability of a
 * package version. One round trip. Reads a row or two for each match it passes, and four to seven for each it returns.
 */
export async function listVulnerabilities(
  ctx: Context,
  request: VulnerabilityListRequest,
): Promise<Page<MatchRow>> {
  const { page, total } = vulnerabilityStatements(ctx.organization.num, request)
  const [rows, counted] = await ctx.db.batch(total ? [page, total] : [page])
  const found = rows!.rows as unknown as (MatchRow & Keyed)[]
  return pageOf(request, found, total && readTotal(counted?.rows[0]), ({ k0, k1, k2, k3 }) =>
    [k0, k1, k2, k3].filter((key) => key !== undefined),
  )
}

/** The page, and the count of all pages where the cursor does not carry it. */
export function vulnerabilityStatements(
  org: number,
  request: VulnerabilityListRequest,
): { page: Statement; total: Statement | null } {
  const columns = ORDER_COLUMNS[request.sort.column]
  const arms = armsOf(request, org)
  const filters = matchConditions(request.filters)
  const filtered = allOf([...filters, shown(org, request)])
  const keys = columns.map((column, index) => `${column} AS k${index}`).join(', ')
  const { order, window } = keyset(
    request,
    columns.map((_, index) => `k${index}`),
  )
  const inOrder = unionOf(arms, `m.id AS match, ${keys}`, filtered, request)
  return {
    page: sql`SELECT ${matchColumns(org)}, ${raw(columns.map((_, index) => `page.k${index}`).join(', '))}
      FROM (${inOrder} ORDER BY ${order} ${window}) page
      CROSS JOIN matches m ON m.id = page.match ${raw(MATCH_JOINS)}`,
    total: request.cursor ? null : countOf(org, request, filters, filtered),
  }
}

/** Kept, or counted in the order that has an index for severity and status, whatever the list's own. */
function countOf(
  org: number,
  request: VulnerabilityListRequest,
  filters: readonly Statement[],
  filtered: Statement,
): Statement {
  const arms = armsOf({ ...request, sort: { column: 'severity', direction: 'desc' } }, org)
  const rows = unionOf(arms, '1', filtered)
  const candidates = unionOf(arms, '1', allOf(filters))
  const keepsMany = Object.keys(request.filters).every((name) => name === 'severity' || name === 'status')
  const kept = keptTotal(org, request.filters)
  if (kept) return keptOrCounted(kept, candidatesFirst(rows, candidates))
  return keepsMany
    ? candidatesFirst(rows, candidates)
    : totalStatement(rows, sql`SELECT count(*) FROM (${candidates})`)
}

/** True for matches that the list shows: by a live artifact, in the registry that was asked for. */
function shown(org: number, { filters }: VulnerabilityListRequest): Statement {
  if (filters.registry) {
    return isShown(
      org,
      sql`(SELECT r.num FROM registries r WHERE r.id = ${filters.registry} AND r.org = ${org})`,
    )
  }
  return filters.image ? raw('1') : isShown(org)
}
