import { and, eq, ne } from 'drizzle-orm'
import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { listSpec, mapPage, pageOf, readPage } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import { presentRegistry } from './present.ts'
import { type RegistryRow, registries } from './table.ts'

export const REGISTRY_LIST = listSpec({
  name: 'registries',
  sorts: ['createdAt'],
  defaultSort: { column: 'createdAt', direction: 'desc' },
  filters: {},
})

/** A registry of this organization that is not being deleted. Throws NOT_FOUND. */
export async function registryInOrganization(ctx: Context, registryId: string): Promise<RegistryRow> {
  const [row] = await ctx.db.orm
    .select()
    .from(registries)
    .where(
      and(
        eq(registries.org, ctx.organization.num),
        eq(registries.id, registryId),
        ne(registries.status, 'DELETING'),
      ),
    )
  if (!row) throw notFound('Registry')
  return row
}

export const readRegistry = async (ctx: Context, registryId: string) =>
  presentRegistry(await registryInOrganization(ctx, registryId))

/** The organization's registries, newest first. One round trip. */
export async function listRegistries(ctx: Context, url: string) {
  const request = readPage(REGISTRY_LIST, url)
  const { after, order, window } = keyset(request, ['created_at', 'id'])
  const mine = sql`FROM registries INDEXED BY registries_list
                  WHERE org = ${ctx.organization.num} AND status <> 'DELETING'`
  const [rows, total] = await ctx.db.batch([
    sql`SELECT ${raw(COLUMNS)} ${mine} AND ${after} ORDER BY ${order} ${window}`,
    ...(request.cursor ? [] : [sql`SELECT count(*) AS total ${mine}`]),
  ])
  const found = (rows!.rows as unknown as ListedRow[]).map(toRow)
  const counted = total ? (total.rows[0] as { total: number }) : null
  const page = pageOf(request, found, counted, (row) => [row.createdAt, row.id])
  return mapPage(page, presentRegistry)
}

const COLUMNS = `id, name, provider, url, path_prefix AS pathPrefix, insecure, credentials IS NOT NULL AS credentials,
  scan_method AS scanMethod, scanners, schedule, include_tags AS includeTags, exclude_tags AS excludeTags,
  runner_labels AS runnerLabels, status, status_reason AS statusReason, image_count AS imageCount, next_run_at AS nextRunAt, sync_state AS syncState,
  synced_at AS syncedAt, created_at AS createdAt, updated_at AS updatedAt`

interface ListedRow {
  insecure: number
  credentials: number
  scanners: string
  runnerLabels: string
  statusReason: string | null
}

/** No ciphertext leaves the database for a list: `credentials` only says whether there are some. */
const toRow = (row: ListedRow): RegistryRow =>
  ({
    ...row,
    insecure: row.insecure === 1,
    credentials: row.credentials === 1 ? '' : null,
    scanners: JSON.parse(row.scanners) as string[],
    runnerLabels: JSON.parse(row.runnerLabels) as string[],
    statusReason: row.statusReason === null ? null : JSON.parse(row.statusReason),
  }) as unknown as RegistryRow
