/** An image as lists read it. Times in milliseconds; counts, grade and risk are null until it was scanned. */
export interface ImageRow {
  id: string
  name: string
  registryId: string
  tagCount: number
  latestTag: string | null
  latestDigest: string | null
  risk: number | null
  grade: string | null
  critical: number | null
  high: number | null
  medium: number | null
  low: number | null
  lastScannedAt: number | null
  createdAt: number
}

/** The columns of `ImageRow` over the alias `i`. */
export const IMAGE_COLUMNS = `i.id, i.name, i.registry_id AS registryId, i.tag_count AS tagCount,
  i.latest_tag AS latestTag, i.latest_digest AS latestDigest, i.risk, i.grade, i.critical, i.high, i.medium, i.low,
  i.last_scanned_at AS lastScannedAt, i.created_at AS createdAt`
