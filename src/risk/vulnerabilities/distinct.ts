import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
import { FINDING_ENGINES, SEVERITIES } from '../../scanning/sensors/result.ts'
import { ENGINE_BIT, isShown, TRIAGE_STATUSES } from '../findings/index.ts'

/** Filters whose values can be asked for. */
export const DISTINCT_FIELDS = ['severity', 'status', 'scanner', 'image', 'package', 'cveId'] as const
export type DistinctField = (typeof DISTINCT_FIELDS)[number]

const MOST_VALUES = 1000

export interface DistinctValues {
  values: string[]
  /** False where there are more than the first 1,000. */
  complete: boolean
}

/**
 * The values of a field in what `listVulnerabilities` shows, each once: severities from the most severe down,
 * statuses and engines in their own order, the rest by the alphabet. One round trip. Reads at most two rows for
 * each match, mostly far less: it skips from value to value where an index allows it.
 */
export async function distinctValues(ctx: Context, field: DistinctField): Promise<DistinctValues> {
  const select = SELECTS[field](ctx.organization.num)
  const rows = await ctx.db.all<{ value: string | number }>(sql`${select} LIMIT ${MOST_VALUES + 1}`)
  const values = rows.slice(0, MOST_VALUES).map(({ value }) => NAMES[field]?.(Number(value)) ?? String(value))
  return { values, complete: rows.length <= MOST_VALUES }
}

const NAMES: Partial<Record<DistinctField, (value: number) => string>> = {
  severity: (level) => SEVERITIES[level]!,
  status: (status) => TRIAGE_STATUSES[status]!,
  scanner: (bit) => FINDING_ENGINES.find((engine) => ENGINE_BIT[engine] === bit)!,
}

const LEVELS = JSON.stringify(SEVERITIES.map((_, level) => level).reverse())
const STATUSES = JSON.stringify(TRIAGE_STATUSES.map((_, status) => status))
const BITS = JSON.stringify(FINDING_ENGINES.map((engine) => ENGINE_BIT[engine]))

const SELECTS: Record<DistinctField, (org: number) => Statement> = {
  severity: (org) => sql`SELECT j.value FROM json_each(${LEVELS}) j
    WHERE EXISTS (SELECT 1 FROM matches m INDEXED BY matches_severity
      WHERE m.org = ${org} AND m.severity = j.value AND ${isShown(org)})`,

  status: (org) => sql`SELECT j.value FROM json_each(${STATUSES}) j
    WHERE CASE j.value
      WHEN 0 THEN EXISTS (SELECT 1 FROM matches m INDEXED BY matches_severity
        WHERE m.org = ${org} AND m.status = 0 AND ${isShown(org)})
      ELSE EXISTS (SELECT 1 FROM matches m INDEXED BY matches_status
        WHERE m.org = ${org} AND m.status = j.value AND m.status <> 0 AND ${isShown(org)}) END`,

  scanner: (org) => sql`SELECT j.value FROM json_each(${BITS}) j
    WHERE EXISTS (SELECT 1 FROM matches m INDEXED BY matches_severity
      WHERE m.org = ${org} AND (m.engines & j.value) <> 0 AND ${isShown(org)})`,

  image: (org) => sql`SELECT DISTINCT i.name AS value FROM images i INDEXED BY images_name
    WHERE i.org = ${org} AND EXISTS (SELECT 1 FROM artifacts a INDEXED BY artifacts_digest
      WHERE a.org = i.org AND a.image_id = i.id AND a.live = 1
        AND a.critical + a.high + a.medium + a.low + a.unknown > 0)
    ORDER BY i.name`,

  package: (org) => sql`SELECT DISTINCT m.name AS value FROM matches m INDEXED BY matches_key
    WHERE m.org = ${org} AND ${isShown(org)} ORDER BY m.name`,

  cveId: (org) => sql`WITH RECURSIVE known(id) AS (
      SELECT min(m.vulnerability) FROM matches m INDEXED BY matches_vulnerability WHERE m.org = ${org}
      UNION ALL
      SELECT (SELECT min(m.vulnerability) FROM matches m INDEXED BY matches_vulnerability
        WHERE m.org = ${org} AND m.vulnerability > known.id)
      FROM known WHERE known.id IS NOT NULL)
    SELECT known.id AS value FROM known
    WHERE EXISTS (SELECT 1 FROM matches m INDEXED BY matches_vulnerability
      WHERE m.org = ${org} AND m.vulnerability = known.id AND ${isShown(org)})`,
}
