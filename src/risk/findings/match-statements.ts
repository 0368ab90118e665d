import { type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { countsDiffer, differs } from './effects.ts'
import { ENGINE_BIT, enginesOf } from './engines.ts'
import type { PlannedMatch } from './plan.ts'
import { saidText } from './said.ts'

const NEW = `INSERT INTO matches (org, id, package, vulnerability, name, version, severity, cvss, cvss_vector,
    fixed_version, said, trivy_first, grype_first, osv_first, engines, seen_at)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, ?3
  FROM json_each(?2)`

/** Rows exist: each takes the DO UPDATE branch, by the unique key and not by a join that could turn round. */
const CHANGED = `INSERT INTO matches (org, package, vulnerability, name, version, severity, cvss, cvss_vector,
    fixed_version, said, trivy_first, grype_first, osv_first, engines, seen_at)
  SELECT ?1, value ->> 1, value ->> 2, '', '', value ->> 5, value ->> 6, value ->> 7,
    value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, 0
  FROM json_each(?2) WHERE true
  ON CONFLICT (org, package, vulnerability) DO UPDATE SET cvss_vector = excluded.cvss_vector,
    fixed_version = excluded.fixed_version, said = excluded.said, trivy_first = excluded.trivy_first,
    grype_first = excluded.grype_first, osv_first = excluded.osv_first, engines = excluded.engines`

/** Severity and score stand in indexes: assigned only where they change. */
const REWEIGHED = `${CHANGED}, severity = excluded.severity, cvss = excluded.cvss`

/** By primary key: `+org` keeps the planner from walking the organization's matches. */
const DELETED = 'DELETE FROM matches WHERE +org = ?1 AND id IN (SELECT value FROM json_each(?2))'

const DELETED_OVERRIDES =
  'DELETE FROM overrides WHERE org = ?1 AND match IN (SELECT value FROM json_each(?2))'

const WITHDRAWN_BITS = `UPDATE overrides SET silent = silent & ~?3
  WHERE org = ?1 AND match IN (SELECT value FROM json_each(?2)) AND silent & ?3 <> 0`

const EMPTY_OVERRIDES = `DELETE FROM overrides
  WHERE org = ?1 AND match IN (SELECT value FROM json_each(?2)) AND silent = 0`

const row = (match: PlannedMatch) => [
  match.id,
  match.package,
  match.vulnerability,
  match.name,
  match.version,
  match.merged.severity,
  match.merged.cvss,
  match.merged.vector,
  match.merged.fixedVersion,
  saidText(match.said, match.merged.vector),
  match.first.trivy,
  match.first.grype,
  match.first.osv,
  match.engines,
]

const each = (sql: string, org: number, list: readonly unknown[], ...more: number[]): Statement[] =>
  jsonChunks(list).map(({ json }) => statement(sql, org, json, ...more))

/** Writes what changed of matches, and drops the exclusions of withdrawn verdicts everywhere. */
export function matchStatements(org: number, matches: readonly PlannedMatch[], seenAt: number): Statement[] {
  const changed = matches.filter(differs)
  const kept = changed.filter((match) => match.before && match.engines !== 0)
  const gone = changed.filter((match) => match.before && match.engines === 0).map((match) => match.id)
  return [
    ...each(NEW, org, changed.filter((match) => !match.before).map(row), seenAt),
    ...each(CHANGED, org, kept.filter((match) => !countsDiffer(match)).map(row)),
    ...each(REWEIGHED, org, kept.filter(countsDiffer).map(row)),
    ...withdrawnStatements(org, kept),
    ...each(DELETED_OVERRIDES, org, gone),
    ...each(DELETED, org, gone),
  ]
}

function withdrawnStatements(org: number, kept: PlannedMatch[]): Statement[] {
  const withdrawn = (match: PlannedMatch) => match.before!.engines & ~match.engines
  const partly = kept.filter((match) => withdrawn(match) !== 0)
  if (partly.length === 0) return []
  const bits = enginesOf(partly.reduce((all, match) => all | withdrawn(match), 0)).map(
    (engine) => ENGINE_BIT[engine],
  )
  return [
    ...bits.flatMap((bit) => {
      const ids = partly.filter((match) => withdrawn(match) & bit).map((match) => match.id)
      return each(WITHDRAWN_BITS, org, ids, bit)
    }),
    ...each(
      EMPTY_OVERRIDES,
      org,
      partly.map((match) => match.id),
    ),
  ]
}
