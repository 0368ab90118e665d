import { and, eq, isNull } from 'drizzle-orm'
import type { Context } from '../../context.ts'
import { notFound } from '../../http/problems.ts'
import { presentApiKey } from './present.ts'
import { credentials } from './table.ts'

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
