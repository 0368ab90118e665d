import type { Context } from '../../../context.ts'
import type { Statement } from '../../../db/database.ts'
import { raw, sql } from '../../../db/sql.ts'
import { keyset } from '../../../http/keyset.ts'
import { listSpec, mapPage, pageOf, readPage } from '../../../http/pages.ts'
import { notFound } from '../../../http/problems.ts'
import { isLiveSql } from '../../live-runners.ts'
import { presentSensor, type SensorRow } from './present.ts'

export const SENSOR_LIST = listSpec({
  name: 'sensors',
  sorts: ['name', 'registeredAt'],
  defaultSort: { column: 'name', direction: 'asc' },
  filters: {
    search: (value: string) => ({ value: value.slice(0, 200).toLowerCase() }),
    registryId: (value: string) => ({ value: value.slice(0, 64) }),
  },
})

const ORDERS = {
  name: { column: 'name', index: 'agents_name' },
  registeredAt: { column: 'registered_at', index: 'agents_registered' },
} as const

const columns = (now: number): Statement =>
  sql`id, registry_id AS registryId, name, hostname, platform, version, protocol_version AS protocolVersion,
    capabilities, scanner_versions AS scannerVersions, labels, concurrency, registered_at AS registeredAt,
    last_heartbeat_at AS lastHeartbeatAt, disabled_at, ${isLiveSql(now)} AS live`

/** The organization's sensors. Two databases: the directory knows them, the shard what they work on. */
export async function listSensors(ctx: Context, url: string) {
  const request = readPage(SENSOR_LIST, url)
  const { column, index } = ORDERS[request.sort.column]
  const { after, order, window } = keyset(request, [column, 'id'])
  const { search, registryId } = request.filters
  const from = sql`FROM agents INDEXED BY ${raw(index)} WHERE org = ${ctx.organization.num} AND removed_at IS NULL
    ${search === undefined ? raw('') : sql`AND (instr(lower(name), ${search}) > 0 OR instr(lower(hostname), ${search}) > 0)`}
    ${registryId === undefined ? raw('') : sql`AND registry_id = ${registryId}`}`
  const [rows, total] = await ctx.directory.batch([
    sql`SELECT ${columns(ctx.now)} ${from} AND ${after} ORDER BY ${order} ${window}`,
    ...(request.cursor ? [] : [sql`SELECT count(*) AS total ${from}`]),
  ])
  const found = rows!.rows as unknown as SensorRow[]
  const counted = total ? (total.rows[0] as { total: number }) : null
  const key = (row: SensorRow) => [request.sort.column === 'name' ? row.name : row.registeredAt, row.id]
  const page = pageOf(request, found, counted, key)
  const scans = await scansOf(
    ctx,
    page.data.map(({ id }) => id),
  )
  return mapPage(page, (row) => presentSensor(row, scans.get(row.id) ?? []))
}

/** One sensor of this organization. Throws NOT_FOUND. */
export async function readSensor(ctx: Context, sensorId: string) {
  const row = await ctx.directory.first<SensorRow>(
    sql`SELECT ${columns(ctx.now)} FROM agents
         WHERE +org = ${ctx.organization.num} AND id = ${sensorId} AND removed_at IS NULL`,
  )
  if (!row) throw notFound('Sensor')
  return presentSensor(row, (await scansOf(ctx, [sensorId])).get(sensorId) ?? [])
}

/** The scans that these sensors work on. */
async function scansOf(ctx: Context, sensorIds: readonly string[]): Promise<Map<string, string[]>> {
  if (sensorIds.length === 0) return new Map()
  const held = await ctx.db.all<{ agent_id: string; scan_id: string }>(
    sql`SELECT j.agent_id, j.scan_id FROM json_each(${JSON.stringify(sensorIds)}) s
         CROSS JOIN jobs j INDEXED BY jobs_held
         WHERE j.agent_id = s.value AND j.state = 'leased' AND j.org = ${ctx.organization.num}
           AND j.lease_until > ${ctx.now} ORDER BY j.handed_at, j.id`,
  )
  const byAgent = Map.groupBy(held, ({ agent_id }) => agent_id)
  return new Map([...byAgent].map(([id, jobs]) => [id, jobs.map(({ scan_id }) => scan_id)]))
}
