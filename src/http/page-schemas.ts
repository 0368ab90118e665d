import { z } from '@hono/zod-openapi'
import { DEFAULT_LIMIT, type ListSpec, MAX_LIMIT } from './pages.ts'

/** How lists look in the OpenAPI document. */

const PageMeta = z
  .strictObject({
    page: z.int().openapi({ description: 'Number of this page, from 1', example: 2 }),
    pageSize: z.int().openapi({ description: 'Items on a full page', example: 50 }),
    total: z.int().openapi({ description: 'Items on all pages', example: 137 }),
    totalPages: z.int().openapi({ description: 'Pages that `total` fills', example: 3 }),
    hasNext: z.boolean().openapi({ description: 'Whether a page follows', example: true }),
    hasPrev: z.boolean().openapi({ description: 'Whether a page comes before', example: true }),
    totalIsEstimate: z.literal(true).optional().openapi({
      description: 'Present where `total` is an estimate: it is exact up to 10,000',
      example: true,
    }),
    ignored: z
      .array(z.string())
      .optional()
      .openapi({
        description:
          'Query parameters that had no effect: unknown ones, and a sort that the list does not offer',
        example: ['sort'],
      }),
  })
  .openapi('PageMeta')

const address = (description: string, page: number) =>
  z.string().openapi({ description, example: `/api/images?page=${page}&limit=50` })

const PageLinks = z
  .strictObject({
    self: address('This page', 2),
    next: address('The next page; it costs the same however deep it is', 3).optional(),
    prev: address('The page before', 1).optional(),
  })
  .openapi('PageLinks')

/** The reply of a list: `{ data, meta, links }`. */
export const listOf = <Item extends z.ZodType>(item: Item, name: string) =>
  z.strictObject({ data: z.array(item), meta: PageMeta, links: PageLinks }).openapi(name)

/** What a parameter means, and a value that a reader would use. */
export interface ParameterText {
  description: string
  example: string
}

/**
 * The query of a list for the OpenAPI document: paging, sort and every filter of the spec. Values stay text
 * here; `readPage` reads them.
 */
export function listQuery<Column extends string, Filters extends Record<string, unknown>>(
  spec: ListSpec<Column, Filters>,
  texts: { [Name in keyof Filters]: ParameterText },
) {
  const { column, direction } = spec.defaultSort
  const parameter = ({ description, example }: ParameterText) =>
    z.string().optional().openapi({ description, example })
  const filters = Object.entries<ParameterText>(texts).map(
    ([name, about]) => [name, parameter(about)] as const,
  )
  return z.object({
    page: parameter({ description: 'Page by number, from 1', example: '1' }),
    limit: parameter({
      description: `Items on a page, 1 to ${MAX_LIMIT}; ${DEFAULT_LIMIT} when absent. \`pageSize\` is another name`,
      example: '50',
    }),
    sort: parameter({
      description: `\`column:direction\`. Columns: ${spec.sorts.join(', ')}; directions: asc, desc. An unknown one falls back to ${column}:${direction}`,
      example: `${column}:${direction}`,
    }),
    ...Object.fromEntries(filters),
    cursor: z.string().optional().openapi({
      example: 'WyIxMGhmamRqIiwwLDMsMCw5LDEyXQ',
      description: 'Opaque, from `links.next` or `links.prev`; valid for exactly that address',
    }),
  })
}
