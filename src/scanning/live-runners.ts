import type { Database, Statement } from '../db/database.ts'
import { raw, sql } from '../db/sql.ts'
import { LIVENESS, WARM_UP } from './bounds.ts'
import { engineBits, neededBits, offeredBits } from './engine-bits.ts'
import { hasLabels } from './labelled-pools.ts'
import { ENGINES } from './sensors/result.ts'

const ALL_ENGINES = engineBits(ENGINES)

/** What a live runner offers. */
export interface LiveRunner {
  /** Engines (bits). */
  offered: number
  labels: readonly string[]
}

/** Engines of an agent by its registered versions (JSON): all of one that never said which it has. */
export function offeredBy(scannerVersions: string): number {
  const versions = JSON.parse(scannerVersions) as Record<string, string>
  return Object.keys(versions).length === 0 ? ALL_ENGINES : offeredBits(versions)
}

/**
 * SQL: whether an agent was heard of of late. One without leases warms up in silence for minutes after it registered.
 * The first condition is the range that an index seeks.
 */
export const isLiveSql = (now: number): Statement =>
  raw(`last_heartbeat_at > ${now - WARM_UP} AND (last_heartbeat_at > ${now - LIVENESS}
    OR (registered_at > ${now - WARM_UP} AND instr(capabilities, '"lease"') = 0))`)

/** The live runners that may take jobs of a pool: of the cloud where `org` is null, else a registry's and an organization's sensors. */
export async function liveRunners(
  directory: Database,
  org: number | null,
  registryId: string | null,
  now: number,
  limit: number,
): Promise<LiveRunner[]> {
  const alive = (registry: string | null) =>
    sql`SELECT scanner_versions, labels FROM agents INDEXED BY agents_of_registry
         WHERE org IS ${org} AND registry_id IS ${registry} AND ${isLiveSql(now)}
           AND disabled_at IS NULL AND removed_at IS NULL`
  const ofOrganization = registryId === null ? raw('') : sql`UNION ALL ${alive(null)}`
  const rows = await directory.all<{ scanner_versions: string; labels: string }>(
    sql`${alive(registryId)} ${ofOrganization} LIMIT ${limit}`,
  )
  return rows.map(({ scanner_versions, labels }) => ({
    offered: offeredBy(scanner_versions),
    labels: JSON.parse(labels) as string[],
  }))
}

/**
 * The engines that a runner must offer to take a job at once (bits), or why no live runner ever takes it. Without a
 * live runner a job waits for one.
 */
export function neededEngines(
  wanted: number,
  labels: readonly string[],
  live: readonly LiveRunner[],
): number | 'engine_unavailable' | 'runner_labels_unavailable' {
  const fitting = live.filter((runner) => hasLabels(runner.labels, labels))
  if (live.length > 0 && fitting.length === 0) return 'runner_labels_unavailable'
  return (
    neededBits(
      wanted,
      fitting.map(({ offered }) => offered),
    ) ?? 'engine_unavailable'
  )
}

export const SENSOR_STATES = ['online', 'scanning', 'offline', 'disabled'] as const
export type SensorState = (typeof SENSOR_STATES)[number]

/** One word for what a sensor does; what people decided about it goes first. */
export function sensorState(
  sensor: { disabled_at: number | null; live: 0 | 1 } | null,
  works: boolean,
): SensorState {
  if (sensor && sensor.disabled_at !== null) return 'disabled'
  if (!sensor?.live) return 'offline'
  return works ? 'scanning' : 'online'
}
