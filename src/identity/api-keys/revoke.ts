import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, statement } from '../../db/database.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { notFound } from '../../http/problems.ts'

/** Revokes a key of this organization. It fails from the next request on. */
export async function revokeApiKey(ctx: Context, keyId: string): Promise<void> {
  try {
    await ctx.directory.batch([
      statement(
        `UPDATE credentials SET revoked_at = ? WHERE org = ? AND id = ? AND revoked_at IS NULL`,
        ctx.now,
        ctx.organization.num,
        keyId,
      ),
      EXPECT_ONE_CHANGE,
      auditRow(ctx, ctx.organization.num, 'apikey.revoked', `api_key:${keyId}`),
    ])
  } catch (error) {
    if (error instanceof LostRace) throw notFound('API key')
    throw error
  }
}
