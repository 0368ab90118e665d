import type { Statement } from '../../db/database.ts'
import { raw, sql } from '../../db/sql.ts'
import { FINDING_ENGINES } from '../../scanning/sensors/result.ts'
import { ENGINE_BIT } from './engines.ts'
import { VISIBLE_SQL } from './visible.ts'

/**
 * Which matches some live artifact shows, and how many do: SQL over the alias `m`. Where the engines of a match
 * ran on every live artifact, only its exclusions can hide it, so that one link or the package's number of
 * holders is enough; elsewhere holders are looked at one by one.
 */

const SETS = 1 << FINDING_ENGINES.length
const USUAL = ENGINE_BIT.trivy | ENGINE_BIT.grype // what the index artifacts_unusual leaves out

/** Sets of engines that ran on some live artifact, as bits of one number: bit r for the set r. Read once a statement. */
const ranSets = (org: number): Statement =>
  raw(`(SELECT ${1 << USUAL} | coalesce(sum(1 << sets.column1), 0) FROM (VALUES ${UNUSUAL}) sets
    WHERE EXISTS (SELECT 1 FROM artifacts INDEXED BY artifacts_unusual
      WHERE org = ${org} AND live = 1 AND ran <> ${USUAL} AND ran = sets.column1))`)

const UNUSUAL = Array.from({ length: SETS }, (_, ran) => ran)
  .filter((ran) => ran !== USUAL)
  .map((ran) => `(${ran})`)
  .join(', ')

/** For each set of engines: the sets that share none with it. */
const STRANGERS = `CASE m.engines ${Array.from({ length: SETS - 1 }, (_, index) => index + 1)
  .map((engines) => {
    const strangers = Array.from({ length: SETS }, (_, ran) => (ran & engines ? 0 : 1 << ran))
    return `WHEN ${engines} THEN ${strangers.reduce((all, bit) => all | bit)}`
  })
  .join(' ')} ELSE -1 END`

const ranEverywhere = (org: number): Statement => sql`(${ranSets(org)} & ${raw(STRANGERS)}) = 0`

/** Holders of the match's package that show it; `registry` (registries.num) narrows them. */
const showing = (what: string, registry?: Statement): Statement =>
  sql`SELECT ${raw(what)} FROM artifact_packages ap INDEXED BY holders
    CROSS JOIN artifacts a ON a.id = ap.artifact
    LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
    WHERE ap.org = m.org AND ap.package = m.package${inRegistry(registry)} AND ${raw(VISIBLE_SQL)}`

const inRegistry = (registry?: Statement) => (registry ? sql` AND ap.registry = ${registry}` : raw(''))

/**
 * True when a live artifact (of `registry`) shows the match. By the rule each match is shown by some: while no
 * change is written in part that is known without a look; else one row where nothing is excluded, or a few.
 */
export const isShown = (org: number, registry?: Statement): Statement =>
  registry
    ? isShownBy(org, registry)
    : sql`((SELECT unfinished IS NULL FROM ingest_state WHERE org = ${org}) OR ${isShownBy(org)})`

const isShownBy = (org: number, registry?: Statement): Statement =>
  sql`CASE WHEN ${ranEverywhere(org)}
      AND NOT EXISTS (SELECT 1 FROM overrides v WHERE v.org = m.org AND v.match = m.id)
    THEN EXISTS (SELECT 1 FROM artifact_packages ap INDEXED BY holders
      WHERE ap.org = m.org AND ap.package = m.package${inRegistry(registry)})
    ELSE EXISTS (${showing('1', registry)}) END`

/** Exclusions that hide the match, of artifacts that hold the package and on which one of its engines ran. */
const EXCLUDED = `SELECT count(*) FROM overrides v
  CROSS JOIN artifacts a ON a.id = v.artifact
  CROSS JOIN artifact_packages ap ON ap.org = v.org AND ap.artifact = v.artifact AND ap.package = m.package
  WHERE v.org = m.org AND v.match = m.id
    AND (m.engines & a.ran & ~v.silent) = 0 AND (m.engines & a.ran) <> 0`

const LIVE_UNUSUAL = `artifacts a INDEXED BY artifacts_unusual WHERE a.live = 1 AND a.ran <> ${USUAL}`

/** Holders on which none of the match's engines ran, among the unusual ones. */
const UNTOUCHED = `SELECT count(*) FROM (SELECT a.id FROM ${LIVE_UNUSUAL} AND a.org = m.org AND (m.engines & a.ran) = 0) u
  CROSS JOIN artifact_packages ap ON ap.org = m.org AND ap.artifact = u.id AND ap.package = m.package`

const FEW_UNUSUAL = 20 // rows read for each match on a page

const unusualAreFew = (org: number): Statement =>
  raw(
    `(SELECT count(*) FROM (SELECT 1 FROM ${LIVE_UNUSUAL} AND a.org = ${org} LIMIT ${FEW_UNUSUAL + 1})) <= ${FEW_UNUSUAL}`,
  )

const HOLDERS = '(SELECT p.holders FROM packages p WHERE p.id = m.package AND p.org = m.org)'

/**
 * Number of live artifacts that show the match: holders of the package (SQL of their number) less those that
 * exclude it and those that its engines never saw. Exact. Where many artifacts had unusual engines, holders are
 * counted one by one, up to `most`.
 */
export const affectedCount = (org: number, most: number, holding = HOLDERS): Statement => {
  const holders = raw(holding)
  return sql`CASE WHEN ${ranEverywhere(org)} THEN ${holders} - (${raw(EXCLUDED)})
    WHEN (m.engines & ${USUAL}) <> 0 AND ${unusualAreFew(org)}
    THEN ${holders} - (${raw(EXCLUDED)}) - (${raw(UNTOUCHED)})
    ELSE (SELECT count(*) FROM (${showing('1')} LIMIT ${most})) END`
}
