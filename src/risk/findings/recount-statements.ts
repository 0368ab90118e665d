import { type Statement, statement } from '../../db/database.ts'
import { GRADE_SQL, RISK_SQL } from './grade.ts'
import { VISIBLE_SQL } from './visible.ts'

const COUNTERS = 'critical, high, medium, low, unknown, cvss_sum, cvss_count'
const severity = (number: number, name: string) => `count(*) FILTER (WHERE m.severity = ${number}) AS ${name}`
const columns = (alias: string) =>
  COUNTERS.split(', ')
    .map((name) => `${alias}.${name}`)
    .join(', ')

/**
 * Counters of the artifacts ?2, absolutely, from the rows that show. The update starts at the totals: `+org` and
 * `+live` keep the planner from walking the organization's artifacts.
 */
const RECOUNT = `WITH listed AS MATERIALIZED (SELECT value AS id FROM json_each(?2)),
  counted AS MATERIALIZED (
    SELECT a.id, ${severity(4, 'critical')}, ${severity(3, 'high')}, ${severity(2, 'medium')}, ${severity(1, 'low')},
      ${severity(0, 'unknown')}, coalesce(sum(m.cvss), 0) AS cvss_sum, count(m.cvss) AS cvss_count
    FROM listed
    CROSS JOIN artifacts a ON a.id = listed.id AND a.org = ?1
    CROSS JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = a.id
    CROSS JOIN matches m INDEXED BY matches_key ON m.org = ap.org AND m.package = ap.package
    LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
    WHERE ${VISIBLE_SQL}
    GROUP BY a.id),
  totals AS MATERIALIZED (
    SELECT *, ${GRADE_SQL} AS grade, ${RISK_SQL} AS risk FROM (
      SELECT * FROM counted
      UNION ALL SELECT id, 0, 0, 0, 0, 0, 0, 0 FROM listed WHERE id NOT IN (SELECT id FROM counted)))
  UPDATE artifacts SET (${COUNTERS}, grade, risk) = (${columns('totals')}, totals.grade, totals.risk)
  FROM totals
  WHERE artifacts.id = totals.id AND +artifacts.org = ?1 AND +artifacts.live = 1 AND +artifacts.ran <> 0
    AND (${columns('artifacts')}) IS NOT (${columns('totals')})`

/** Recomputes counters, grade and risk of the listed artifacts (at most 500) and writes those that differ. */
export const recountStatement = (org: number, artifacts: readonly number[]): Statement =>
  statement(RECOUNT, org, JSON.stringify(artifacts))

const ROLLED_UP = 'critical, high, medium, low, unknown, grade, risk'

/** By primary keys alone: `+org` keeps the planner from walking the organization's images. */
const ROLL_UP = `UPDATE images SET (${ROLLED_UP}) =
    (SELECT ${ROLLED_UP} FROM artifacts a WHERE a.id = images.latest_artifact AND a.org = ?1)
  WHERE +org = ?1 AND id IN (SELECT i.id FROM json_each(?2) j
    CROSS JOIN artifacts a ON a.id = j.value AND a.org = ?1
    CROSS JOIN images i ON i.id = a.image_id AND i.org = ?1
    WHERE i.latest_artifact = a.id
      AND (i.critical, i.high, i.medium, i.low, i.unknown, i.grade, i.risk)
        IS NOT (a.critical, a.high, a.medium, a.low, a.unknown, a.grade, a.risk))`

/** Copies counters to the images whose latest artifact is among the listed; writes only what differs. */
export const rollUpStatement = (org: number, artifacts: readonly number[]): Statement =>
  statement(ROLL_UP, org, JSON.stringify(artifacts))
