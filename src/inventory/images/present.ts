import type { ImageRow } from './row.ts'
import type { TagRow } from './tags.ts'

const instant = (time: number | null) => (time === null ? null : new Date(time).toISOString())

const presentCounts = ({
  critical,
  high,
  medium,
  low,
}: Pick<ImageRow, 'critical' | 'high' | 'medium' | 'low'>) => ({
  critical,
  high,
  medium,
  low,
})

export const presentImage = (row: ImageRow) => ({
  id: row.id,
  name: row.name,
  registryId: row.registryId,
  tagCount: row.tagCount,
  latestTag: row.latestTag,
  latestDigest: row.latestDigest,
  riskScore: row.risk,
  grade: row.grade,
  vulnerabilities: presentCounts(row),
  lastScannedAt: instant(row.lastScannedAt),
  createdAt: instant(row.createdAt),
})

export const presentTag = (row: TagRow) => ({
  id: row.id,
  name: row.name,
  digest: row.digest,
  platforms: JSON.parse(row.platforms) as string[],
  riskScore: row.risk,
  grade: row.grade,
  vulnerabilities: presentCounts(row),
  lastScannedAt: instant(row.lastScannedAt),
  createdAt: instant(row.createdAt),
  movedAt: instant(row.movedAt),
})
