import { type SensorState, sensorState } from '../../live-runners.ts'

/** A sensor as the directory has it. Lists are JSON. */
export interface SensorRow {
  id: string
  registryId: string | null
  name: string
  hostname: string
  platform: string
  version: string
  protocolVersion: number
  capabilities: string
  scannerVersions: string
  labels: string
  concurrency: number
  registeredAt: number
  lastHeartbeatAt: number
  disabled_at: number | null
  live: 0 | 1
}

const instant = (time: number) => new Date(time).toISOString()

export function presentSensor(row: SensorRow, scanIds: readonly string[]) {
  const [first] = scanIds
  const state: SensorState = sensorState(row, first !== undefined)
  return {
    id: row.id,
    name: row.name,
    hostname: row.hostname,
    platform: row.platform,
    version: row.version,
    protocolVersion: row.protocolVersion === 0 ? null : row.protocolVersion,
    capabilities: JSON.parse(row.capabilities) as string[],
    engines: JSON.parse(row.scannerVersions) as Record<string, string>,
    labels: JSON.parse(row.labels) as string[],
    concurrency: row.concurrency,
    registryId: row.registryId,
    state,
    currentJob: first === undefined ? null : { scanId: first },
    currentScanIds: [...scanIds],
    lastHeartbeatAt: instant(row.lastHeartbeatAt),
    registeredAt: instant(row.registeredAt),
    disabledAt: row.disabled_at === null ? null : instant(row.disabled_at),
  }
}
