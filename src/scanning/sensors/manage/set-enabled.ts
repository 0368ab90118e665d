import type { Context } from '../../../context.ts'
import { raw, sql } from '../../../db/sql.ts'
import { auditRow } from '../../../evidence/audit-log/index.ts'
import { readSensor } from './read.ts'

/**
 * Disables or enables a sensor. A disabled one gets no jobs, also when it registers again; what it works on it may
 * finish and upload. Doing it again changes nothing. Throws NOT_FOUND.
 */
export async function setEnabled(ctx: Context, sensorId: string, enabled: boolean) {
  const org = ctx.organization.num
  await ctx.directory.batch([
    sql`UPDATE agents SET disabled_at = ${enabled ? null : ctx.now}
         WHERE +org = ${org} AND id = ${sensorId} AND removed_at IS NULL
           AND (disabled_at IS NULL) = ${enabled ? 0 : 1}`,
    auditRow(
      ctx,
      org,
      enabled ? 'sensor.enabled' : 'sensor.disabled',
      `sensor:${sensorId}`,
      undefined,
      raw('changes() = 1'),
    ),
  ])
  return readSensor(ctx, sensorId)
}
