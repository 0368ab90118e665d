import { actorLabel, type Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { insertCredential, mintCredential, presentApiKey } from '../../identity/api-keys/index.ts'

/** A new key for the sensor of one registry, and its rows for a batch of the directory. Shown once. */
export async function mintSensorKey(
  ctx: Context,
  registry: { id: string; name: string },
): Promise<{ key: string; statements: Statement[] }> {
  const { key, row } = await mintCredential({
    kind: 'sensor_key',
    name: `Sensor of ${registry.name}`,
    role: 'ci',
    registryId: registry.id,
    createdBy: actorLabel(ctx.actor),
    createdAt: ctx.now,
    expiresAt: null,
  })
  return {
    key,
    statements: [
      insertCredential(row, ctx.organization.id),
      auditRow(ctx, ctx.organization.num, 'apikey.created', `api_key:${row.id}`, presentApiKey(row)),
    ],
  }
}

/** Revokes every key of the registry's sensors; they fail from the next request on. */
export const revokeSensorKeys = (ctx: Context, registryId: string): Statement =>
  statement(
    `UPDATE credentials INDEXED BY credentials_of_registry SET revoked_at = ?
      WHERE org = ? AND registry_id = ? AND kind = 'sensor_key' AND revoked_at IS NULL`,
    ctx.now,
    ctx.organization.num,
    registryId,
  )
