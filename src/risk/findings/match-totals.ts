import type { Statement } from '../../db/database.ts'
import { joined, raw, sql } from '../../db/sql.ts'
import { SEVERITIES, type Severity } from '../../scanning/sensors/result.ts'
import { differs } from './effects.ts'
import type { PlannedMatch } from './plan.ts'
import type { TriageStatus } from './triage-status.ts'

/**
 * How many matches an organization has of each severity, as `ingest_state` keeps it. By the rule each is shown
 * by a live artifact, so that these are the totals of its list, but while a change is written in part.
 */

/** What writing these matches adds to the numbers, by severity (0 UNKNOWN … 4 CRITICAL). */
export function matchDelta(matches: readonly PlannedMatch[]): number[] {
  const delta = SEVERITIES.map(() => 0)
  for (const { before, engines, merged } of matches.filter(differs)) {
    if (before) delta[before.severity]!--
    if (!before || engines !== 0) delta[merged.severity]!++
  }
  return delta
}

const COLUMNS: Record<Severity, string> = {
  UNKNOWN: 'unknown',
  LOW: 'low',
  MEDIUM: 'medium',
  HIGH: 'high',
  CRITICAL: 'critical',
}

/** Decided matches: few, in an index of their own. Read one by one. */
const decided = (org: number, levels: readonly Statement[]): Statement =>
  sql`(SELECT count(*) FROM matches m INDEXED BY matches_status
    WHERE m.org = ${org} AND m.status <> 0 AND +m.severity IN (${joined(levels, ', ')}))`

/**
 * Total of the organization's list with these filters, from the numbers that are kept: one row {total, estimate},
 * or none where some match may not show. Of what is open the decided ones are taken off. Null for other filters.
 */
export function keptTotal(
  org: number,
  filters: { severity?: readonly Severity[]; status?: TriageStatus },
): Statement | null {
  const { severity = SEVERITIES, status, ...others } = filters
  if (Object.keys(others).length > 0 || (status && status !== 'OPEN')) return null
  const kept = [...new Set(severity)]
  const less = status
    ? decided(
        org,
        kept.map((each) => sql`${SEVERITIES.indexOf(each)}`),
      )
    : raw('0')
  const sum = joined(
    kept.map((each) => raw(COLUMNS[each])),
    ' + ',
  )
  return sql`SELECT ${sum} - ${less} AS total, 0 AS estimate FROM ingest_state
    WHERE org = ${org} AND unfinished IS NULL`
}
