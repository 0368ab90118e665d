import type { Context } from '../../context.ts'
import { sql } from '../../db/sql.ts'
import { notFound } from '../../http/problems.ts'
import { isLiveSql, sensorState } from '../../scanning/live-runners.ts'

/**
 * What the sensors of a registry do; several behind one registry are shown as one, a disabled one only where there is
 * no other. Throws NOT_FOUND.
 */
export async function readSensorStatus(ctx: Context, registryId: string) {
  const org = ctx.organization.num
  const [registry, jobs] = await ctx.db.batch([
    sql`SELECT id FROM registries WHERE org = ${org} AND id = ${registryId} AND status <> 'DELETING'`,
    sql`SELECT scan_id FROM jobs INDEXED BY jobs_in_flight
         WHERE org = ${org} AND registry_id = ${registryId} AND state IN ('queued', 'leased', 'uploaded')
           AND state = 'leased' AND pool NOT LIKE 'cloud%' LIMIT 1`,
  ])
  if (registry!.rows.length === 0) throw notFound('Registry')
  const sensor = await ctx.directory.first<Sensor>(
    sql`SELECT version, last_heartbeat_at, disabled_at, ${isLiveSql(ctx.now)} AS live
          FROM agents INDEXED BY agents_of_registry
         WHERE org = ${org} AND registry_id = ${registryId} AND removed_at IS NULL
         ORDER BY disabled_at IS NOT NULL, last_heartbeat_at DESC LIMIT 1`,
  )
  const job = sensor?.live ? (jobs!.rows[0] as { scan_id: string } | undefined) : undefined
  return {
    status: sensorState(sensor, job !== undefined),
    lastHeartbeatAt: sensor && new Date(sensor.last_heartbeat_at).toISOString(),
    version: sensor?.version ?? null,
    currentJob: job ? { scanId: job.scan_id } : null,
  }
}

interface Sensor {
  version: string
  last_heartbeat_at: number
  disabled_at: number | null
  live: 0 | 1
}
