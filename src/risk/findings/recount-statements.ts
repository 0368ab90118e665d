import { type Statement, statement } from '../../db/database.ts'
import { GRADE_SQL, RISK_SQL } from './grade.ts'
import { VISIBLE_SQL } from './visible.ts'

const COUNTERS = 'critical, high, medium, low, unknown, cvss_sum, cvss_count'
const severity = (number: number, name: string) => `count(*) FILTER (WHERE m.severity = ${number}) AS ${name}`

/**
 * Counters of the artifacts that `ids` selects, absolutely, from the rows that show. The join starts at the
 * list: `+org` keeps the planner from walking the organization's artifacts.
 */
const recount = (ids: string) => `WITH listed AS MATERIALIZED (${ids}),
  counted AS MATERIALIZED (
    SELECT l.id, ${severity(4, 'critical')}, ${severity(3, 'high')}, ${severity(2, 'medium')}, ${severity(1, 'low')},
      ${severity(0, 'unknown')}, coalesce(sum(m.cvss), 0) AS cvss_sum, count(m.cvss) AS cvss_count
    FROM listed l
    CROSS JOIN artifacts a ON a.id = l.id
    LEFT JOIN (artifact_packages ap
      CROSS JOIN matches m INDEXED BY matches_key ON m.org = ap.org AND m.package = ap.package
      LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact)
      ON ap.org = ?1 AND ap.artifact = l.id AND ${VISIBLE_SQL}
    GROUP BY l.id)
  UPDATE artifacts SET (${COUNTERS}, grade, risk) =
    (SELECT ${COUNTERS}, ${GRADE_SQL}, ${RISK_SQL} FROM counted WHERE counted.id = artifacts.id)
  WHERE id IN (SELECT c.id FROM counted c CROSS JOIN artifacts o ON o.id = c.id
      WHERE (c.critical, c.high, c.medium, c.low, c.unknown, c.cvss_sum, c.cvss_count)
        IS NOT (o.critical, o.high, o.medium, o.low, o.unknown, o.cvss_sum, o.cvss_count))
    AND +org = ?1 AND live = 1 AND ran <> 0`

const RECOUNT = recount('SELECT value AS id FROM json_each(?2)')

/** Recomputes counters, grade and risk of the listed artifacts (at most 500) and writes those that differ. */
export const recountStatement = (org: number, artifacts: readonly number[]): Statement =>
  statement(RECOUNT, org, JSON.stringify(artifacts))

const ROLLED_UP = 'critical, high, medium, low, unknown, grade, risk'

const ROLL_UP = `UPDATE images SET (${ROLLED_UP}) =
    (SELECT ${ROLLED_UP} FROM artifacts a WHERE a.id = images.latest_artifact AND a.org = ?1)
  WHERE org = ?1 AND id IN (SELECT i.id FROM json_each(?2) j
    CROSS JOIN artifacts a ON a.id = j.value AND a.org = ?1
    CROSS JOIN images i ON i.id = a.image_id AND i.org = ?1
    WHERE i.latest_artifact = a.id
      AND (i.critical, i.high, i.medium, i.low, i.unknown, i.grade, i.risk)
        IS NOT (a.critical, a.high, a.medium, a.low, a.unknown, a.grade, a.risk))`

/** Copies counters to the images whose latest artifact is among the listed; writes only what differs. */
export const rollUpStatement = (org: number, artifacts: readonly number[]): Statement =>
  statement(ROLL_UP, org, JSON.stringify(artifacts))
