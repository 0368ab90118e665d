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

const DECIDED =
  'SELECT 1 FROM matches INDEXED BY matches_status WHERE matches.org = ingest_state.org AND status <> 0'

/**
 * Total of the organization's list with these filters, from the numbers that are kept: one row {total, estimate},
 * or none where some match may not show or, asked for what is open, one is decided. Null for other filters.
 */
export function keptTotal(
  org: number,
  filters: { severity?: readonly Severity[]; status?: TriageStatus },
): Statement | null {
  const { severity = SEVERITIES, status, ...others } = filters
  if (Object.keys(others).length > 0 || (status && status !== 'OPEN')) return null
  const kept = [...new Set(severity)].map((each) => raw(COLUMNS[each]))
  const open = raw(status ? `NOT EXISTS (${DECIDED})` : '1')
  return sql`SELECT ${joined(kept, ' + ')} AS total, 0 AS estimate FROM ingest_state
    WHERE org = ${org} AND unfinished IS NULL AND ${open}`
}
