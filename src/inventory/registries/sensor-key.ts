import { actorLabel, type Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
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

/** Revokes the keys of the registry's sensors, with an audit row where there is one; they fail from the next request on. */
export function revokeSensorKeys(ctx: Context, registryId: string): Statement[] {
  const org = ctx.organization.num
  const keys = sql`credentials INDEXED BY credentials_of_registry`
  const valid = sql`org = ${org} AND registry_id = ${registryId} AND kind = 'sensor_key' AND revoked_at IS NULL`
  return [
    auditRow(
      ctx,
      org,
      'apikey.revoked',
      sql`(SELECT 'api_key:' || id FROM ${keys} WHERE ${valid} LIMIT 1)`,
      { registryId },
      sql`EXISTS (SELECT 1 FROM ${keys} WHERE ${valid})`,
    ),
    sql`UPDATE ${keys} SET revoked_at = ${ctx.now} WHERE ${valid}`,
  ]
}
