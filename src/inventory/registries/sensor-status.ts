import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { notFound } from '../../http/problems.ts'

const LIVENESS = 2 * 60_000 // the documented grace: four missed heartbeats

/** What the sensors of a registry do; several behind one registry are shown as one. Throws NOT_FOUND. */
export async function readSensorStatus(ctx: Context, registryId: string) {
  const org = ctx.organization.num
  const [registry, jobs] = await ctx.db.batch([
    statement(`SELECT id FROM registries WHERE org = ? AND id = ? AND status <> 'DELETING'`, org, registryId),
    statement(
      `SELECT scan_id FROM jobs INDEXED BY jobs_in_flight
        WHERE org = ? AND registry_id = ? AND state IN ('queued', 'leased', 'uploaded') AND state = 'leased'
          AND pool = registry_id LIMIT 1`,
      org,
      registryId,
    ),
  ])
  if (registry!.rows.length === 0) throw notFound('Registry')
  const sensor = await ctx.directory.first<{ version: string; last_heartbeat_at: number }>(
    statement(
      `SELECT version, last_heartbeat_at FROM agents INDEXED BY agents_of_registry
        WHERE org = ? AND registry_id = ? ORDER BY last_heartbeat_at DESC LIMIT 1`,
      org,
      registryId,
    ),
  )
  const live = sensor !== null && sensor.last_heartbeat_at > ctx.now - LIVENESS
  const job = live ? (jobs!.rows[0] as { scan_id: string } | undefined) : undefined
  return {
    status: !live ? 'offline' : job ? 'scanning' : 'online',
    lastHeartbeatAt: sensor && new Date(sensor.last_heartbeat_at).toISOString(),
    version: sensor?.version ?? null,
    currentJob: job ? { scanId: job.scan_id } : null,
  }
}
