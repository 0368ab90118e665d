import type { z } from '@hono/zod-openapi'
import { admits } from '../../auth/roles.ts'
import { actorLabel, type Context } from '../../context.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { invalid } from '../../http/problems.ts'
import { insertCredential, mintCredential } from './mint.ts'
import { presentApiKey } from './present.ts'
import type { CreateApiKey } from './schemas.ts'

/** Creates an API key of at most the creator's role. The key is in this reply and nowhere else. */
export async function createApiKey(ctx: Context, input: z.output<typeof CreateApiKey>) {
  if (ctx.actor.kind === 'api_key' && !admits(input.role, ctx.actor.role)) {
    throw invalid({ path: 'role', message: "may not exceed the creator's role" })
  }
  const expiresAt = input.expiresAt ? Date.parse(input.expiresAt) : null
  if (expiresAt !== null && expiresAt <= ctx.now)
    throw invalid({ path: 'expiresAt', message: 'must be in the future' })
  const { key, row } = await mintCredential({
    kind: 'api_key',
    name: input.name,
    role: input.role,
    registryId: null,
    createdBy: actorLabel(ctx.actor),
    createdAt: ctx.now,
    expiresAt,
  })
  const view = presentApiKey(row)
  await ctx.directory.batch([
    insertCredential(row, ctx.organization.id),
    auditRow(ctx, ctx.organization.num, 'apikey.created', `api_key:${row.id}`, view),
    ...ctx.rememberReply(row.id, 201),
  ])
  return { ...view, key }
}
