import type { RegistryRow } from './table.ts'

const instant = (time: number | null) => (time === null ? null : new Date(time).toISOString())

export function presentRegistry(row: RegistryRow) {
  const { scanners, schedule, includeTags, excludeTags, runnerLabels } = row
  return {
    id: row.id,
    name: row.name,
    provider: row.provider,
    url: row.pathPrefix === '' ? row.url : `${row.url}/${row.pathPrefix}`,
    scanMethod: row.scanMethod,
    scanners,
    schedule,
    includeTags,
    excludeTags,
    runnerLabels,
    insecure: row.insecure,
    hasCredentials: row.credentials !== null,
    status: row.status,
    statusReason: row.statusReason && { code: row.statusReason.code, message: row.statusReason.message },
    scanning: { method: row.scanMethod, scanners, schedule, includeTags, excludeTags, runnerLabels },
    syncStatus: row.syncState,
    imageCount: row.imageCount,
    lastSyncedAt: instant(row.syncedAt),
    nextRunAt: instant(row.nextRunAt),
    createdAt: new Date(row.createdAt).toISOString(),
    updatedAt: new Date(row.updatedAt).toISOString(),
  }
}
