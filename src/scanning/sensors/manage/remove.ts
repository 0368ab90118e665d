import type { Context } from '../../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace } from '../../../db/database.ts'
import { sql } from '../../../db/sql.ts'
import { auditRow } from '../../../evidence/audit-log/index.ts'
import { notFound } from '../../../http/problems.ts'

/**
 * Takes a sensor out of the lists. One that still runs is there again at its next call: disabling it or revoking its
 * key keeps it out. What it works on it may finish. Throws NOT_FOUND.
 */
export async function removeSensor(ctx: Context, sensorId: string): Promise<{ id: string; deleted: true }> {
  const org = ctx.organization.num
  try {
    await ctx.directory.batch([
      sql`UPDATE agents SET removed_at = ${ctx.now}
           WHERE +org = ${org} AND id = ${sensorId} AND removed_at IS NULL`,
      EXPECT_ONE_CHANGE,
      auditRow(ctx, org, 'sensor.removed', `sensor:${sensorId}`),
    ])
  } catch (error) {
    if (error instanceof LostRace) throw notFound('Sensor')
    throw error
  }
  return { id: sensorId, deleted: true }
}
