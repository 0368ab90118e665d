import { decodeCursor, encodeCursor, fingerprint, type Key } from './page-cursor.ts'
import type { FilterReader } from './page-filters.ts'
import { meantPath } from './path.ts'
import { type Issue, invalid } from './problems.ts'

/** The one paging helper: page and limit, sort, filters and cursors in; data, meta and links out. */

export const DEFAULT_LIMIT = 50
export const MAX_LIMIT = 200
const MAX_PAGE = 10_000_000 // keeps every OFFSET a small integer

export type Direction = 'asc' | 'desc'

/** What a list offers. `filters` says how each query parameter is read; anything else is ignored and named. */
export interface ListSpec<Column extends string, Filters extends Record<string, unknown>> {
  /** Names the list inside its cursors. */
  name: string
  sorts: readonly Column[]
  defaultSort: { column: NoInfer<Column>; direction: Direction }
  filters: { [Name in keyof Filters]: FilterReader<Filters[Name]> }
}

export interface PageRequest<
  Column extends string = string,
  Filters extends Record<string, unknown> = Record<string, unknown>,
> {
  page: number
  limit: number
  sort: { column: Column; direction: Direction }
  /** Only the filters that were given. */
  filters: Partial<Filters>
  /** Set when the page continues another one; then nothing is skipped and nothing counted again. */
  cursor: { keys: Key[]; backwards: boolean; total: Total } | null
  /** Names of parameters that had no effect. */
  ignored: string[]
  /** For links: the list's name and path, and the known parameters besides page, limit and cursor. */
  address: { list: string; path: string; params: [string, string][] }
  givenCursor: string | null
}

export interface Total {
  total: number
  totalIsEstimate?: boolean
}

export interface Page<Item> {
  data: Item[]
  meta: {
    page: number
    pageSize: number
    total: number
    totalPages: number
    hasNext: boolean
    hasPrev: boolean
    totalIsEstimate?: boolean
    ignored?: string[]
  }
  links: { self: string; next?: string; prev?: string }
}

/** The same object, typed: `const LIST = listSpec({ … })`. */
export const listSpec = <const Column extends string, Filters extends Record<string, unknown>>(
  spec: ListSpec<Column, Filters>,
): ListSpec<Column, Filters> => spec

/** The request type of a spec. */
export type RequestOf<Spec> =
  Spec extends ListSpec<infer Column, infer Filters> ? PageRequest<Column, Filters> : never

/**
 * Reads a list's query. `url` may be absolute or start at the path. Unknown parameters, columns and directions
 * have no effect and stand in `ignored`; an empty value counts as absent; a repeated one as a comma list.
 * Throws VALIDATION_ERROR with every issue found: page, limit, filter values, a cursor that does not continue
 * exactly this query.
 */
export function readPage<Column extends string, Filters extends Record<string, unknown>>(
  spec: ListSpec<Column, Filters>,
  url: string | URL,
): PageRequest<Column, Filters> {
  const { pathname, searchParams } = new URL(url, 'http://list.invalid')
  const path = meantPath(pathname)
  const issues: Issue[] = []
  const ignored: string[] = []
  const params: [string, string][] = []
  const filters: Partial<Filters> = {}
  let sort: PageRequest<Column, Filters>['sort'] = spec.defaultSort

  for (const name of new Set(searchParams.keys())) {
    const value = searchParams
      .getAll(name)
      .filter((part) => part !== '')
      .join(',')
    if (PAGING_PARAMETERS.has(name) || value === '') continue
    if (name === 'sort') {
      const wanted = readSort(spec, value)
      if (wanted) params.push(['sort', value])
      else ignored.push('sort')
      sort = wanted ?? sort
    } else if (Object.hasOwn(spec.filters, name)) {
      const read = spec.filters[name as keyof Filters](value)
      if ('issue' in read) issues.push({ path: name, message: read.issue })
      else filters[name as keyof Filters] = read.value
      params.push([name, value])
    } else ignored.push(name)
  }
  const page = readInteger(searchParams.get('page'), 1, MAX_PAGE, 1, 'page', issues)
  const size = searchParams.get('limit') || !searchParams.get('pageSize') ? 'limit' : 'pageSize'
  const limit = readInteger(searchParams.get(size), 1, MAX_LIMIT, DEFAULT_LIMIT, size, issues)
  const request: PageRequest<Column, Filters> = {
    page,
    limit,
    sort,
    filters,
    cursor: null,
    ignored,
    address: { list: spec.name, path, params },
    givenCursor: searchParams.get('cursor') || null,
  }
  if (issues.length === 0 && request.givenCursor) {
    request.cursor = decodeCursor(request.givenCursor, fingerprintOf(request, page))
    if (!request.cursor) issues.push({ path: 'cursor', message: FOREIGN_CURSOR })
  }
  if (issues.length > 0) throw invalid(...issues)
  return request
}

/**
 * Turns what a list read into its page. `fetched` is what `keyset` asked for: up to limit + 1 rows in reading
 * order (backwards for a cursor that reads backwards). `keys` are the row's values of the order's columns.
 */
export function pageOf<Row>(
  request: PageRequest,
  fetched: readonly Row[],
  counted: Total | null,
  keys: (row: Row) => Key[],
): Page<Row> {
  const backwards = request.cursor?.backwards ?? false
  const data = fetched.slice(0, request.limit)
  if (backwards) data.reverse()
  const { total, totalIsEstimate } = counted ?? request.cursor?.total ?? { total: data.length }
  const hasNext = backwards || fetched.length > request.limit
  const hasPrev = request.page > 1
  const known: Total = totalIsEstimate ? { total, totalIsEstimate } : { total }
  const page: Page<Row> = {
    data,
    meta: {
      page: request.page,
      pageSize: request.limit,
      ...known,
      totalPages: Math.ceil(total / request.limit),
      hasNext,
      hasPrev,
    },
    links: { self: link(request, request.page, request.givenCursor) },
  }
  if (request.ignored.length > 0) page.meta.ignored = [...request.ignored].sort()
  const mint = (row: Row | undefined, target: number, back: boolean) =>
    row && target > 1
      ? encodeCursor({ keys: keys(row), backwards: back, total: known }, fingerprintOf(request, target))
      : null
  if (hasNext) page.links.next = link(request, request.page + 1, mint(data.at(-1), request.page + 1, false))
  if (hasPrev) page.links.prev = link(request, request.page - 1, mint(data[0], request.page - 1, true))
  return page
}

/** The page with every item presented. */
export const mapPage = <Row, Item>(page: Page<Row>, present: (row: Row) => Item): Page<Item> => ({
  ...page,
  data: page.data.map(present),
})

const FOREIGN_CURSOR =
  'does not continue this list, order, filter, page and limit; follow links.next, or leave it out to read by page number'
const PAGING_PARAMETERS = new Set(['page', 'limit', 'pageSize', 'cursor'])

function readSort<Column extends string>(spec: { sorts: readonly Column[] }, value: string) {
  const [name, direction, ...rest] = value.split(':')
  const column = spec.sorts.find((offered) => offered === name)
  if (!column || rest.length > 0 || (direction !== 'asc' && direction !== 'desc')) return null
  return { column, direction: direction as Direction }
}

function readInteger(
  given: string | null,
  min: number,
  max: number,
  absent: number,
  path: string,
  issues: Issue[],
): number {
  if (!given) return absent
  const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN
  if (value >= min && value <= max) return value
  issues.push({ path, message: `must be a whole number from ${min} to ${max}` })
  return absent
}

const fingerprintOf = (request: PageRequest, page: number): string =>
  fingerprint([
    request.address.list,
    request.address.path,
    page,
    request.limit,
    request.sort.column,
    request.sort.direction,
    request.address.params.filter(([name]) => name !== 'sort').sort(),
  ])

function link(request: PageRequest, page: number, cursor: string | null): string {
  const params = new URLSearchParams([
    ['page', String(page)],
    ['limit', String(request.limit)],
    ...request.address.params,
    ...(cursor ? [['cursor', cursor] as [string, string]] : []),
  ])
  return `${request.address.path}?${params}`
}
