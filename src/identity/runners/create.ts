import type { BaseContext } from '../../context.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { insertCredential, mintCredential } from '../api-keys/index.ts'

/** Creates the credential of a cloud runner. The key is in this reply and nowhere else. */
export async function createCloudRunner(ctx: BaseContext, input: { name: string }) {
  const { key, row } = await mintCredential({
    kind: 'runner_key',
    name: input.name,
    role: 'ci',
    registryId: null,
    createdBy: 'operator',
    createdAt: ctx.now,
    expiresAt: null,
  })
  const view = {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    createdAt: new Date(row.createdAt).toISOString(),
  }
  await ctx.directory.batch([
    insertCredential(row, null),
    auditRow({ ...ctx, actor: { kind: 'operator' } }, null, 'runner.created', `runner:${row.id}`, view),
  ])
  return { ...view, key }
}
