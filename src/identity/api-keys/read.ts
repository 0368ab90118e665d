import { and, eq, isNull } from 'drizzle-orm'
import type { Context } from '../../context.ts'
import { sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { listSpec, mapPage, pageOf, readPage } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import { presentApiKey } from './present.ts'
import { type CredentialRow, credentials } from './table.ts'

export const KEY_LIST = listSpec({
  name: 'api-keys',
  sorts: ['createdAt'],
  defaultSort: { column: 'createdAt', direction: 'desc' },
  filters: {},
})

/** The organization's keys that are not revoked; the sensors' keys among them. One round trip. */
export async function listApiKeys(ctx: Context, url: string) {
  const request = readPage(KEY_LIST, url)
  const { after, order, window } = keyset(request, ['created_at', 'id'])
  const [rows, total] = await ctx.directory.batch([
    sql`SELECT id, name, prefix, role, registry_id AS registryId, created_at AS createdAt,
               expires_at AS expiresAt, last_used_at AS lastUsedAt
          FROM credentials INDEXED BY credentials_of_organization
         WHERE org = ${ctx.organization.num} AND revoked_at IS NULL AND ${after}
         ORDER BY ${order} ${window}`,
    ...(request.cursor
      ? []
      : [
          sql`SELECT count(*) AS total FROM credentials INDEXED BY credentials_of_organization
               WHERE org = ${ctx.organization.num} AND revoked_at IS NULL`,
        ]),
  ])
  const found = rows!.rows as unknown as CredentialRow[]
  const counted = total ? (total.rows[0] as { total: number }) : null
  const page = pageOf(request, found, counted, (row) => [row.createdAt, row.id])
  return mapPage(page, presentApiKey)
}

/** One key of this organization that is not revoked. */
export async function readApiKey(ctx: Context, keyId: string) {
  const [row] = await ctx.directory.orm
    .select()
    .from(credentials)
    .where(
      and(
        eq(credentials.org, ctx.organization.num),
        eq(credentials.id, keyId),
        isNull(credentials.revokedAt),
      ),
    )
  if (!row) throw notFound('API key')
  return presentApiKey(row)
}
