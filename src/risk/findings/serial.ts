import { EXPECT_ONE_CHANGE, type Statement, statement } from '../../db/database.ts'
import type { PerEngine } from './engines.ts'

const NEXT = `INSERT INTO ingest_state (org, seq, trivy_newest, grype_newest, osv_newest,
    unknown, low, medium, high, critical, unfinished)
  SELECT ?1, ?2 + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
  WHERE ?2 = 0 OR EXISTS (SELECT 1 FROM ingest_state WHERE org = ?1)
  ON CONFLICT (org) DO UPDATE SET seq = excluded.seq, trivy_newest = excluded.trivy_newest,
    grype_newest = excluded.grype_newest, osv_newest = excluded.osv_newest,
    unknown = unknown + excluded.unknown, low = low + excluded.low, medium = medium + excluded.medium,
    high = high + excluded.high, critical = critical + excluded.critical, unfinished = excluded.unfinished
  WHERE seq = ?2`

const SAME = `SELECT json_extract(CASE WHEN
  coalesce((SELECT seq FROM ingest_state WHERE org = ?1), 0) = ?2 THEN '{}' ELSE 'lost race' END, '$')`

/** What a batch makes of the state behind its serial number. */
export interface Advance {
  newest: PerEngine<number | null>
  /** What the batch adds to the numbers of matches, by severity (0 UNKNOWN … 4 CRITICAL). */
  delta: readonly number[]
  /** Changes that are written in part once the batch is through. */
  unfinished: readonly string[]
}

/** Goes on from the serial number that was read, or loses the race: nothing that the plan rests on has changed. */
export const nextSerial = (org: number, seq: number, { newest, delta, unfinished }: Advance): Statement[] => [
  statement(
    NEXT,
    ...[org, seq, newest.trivy, newest.grype, newest.osv, ...delta],
    unfinished.length > 0 ? JSON.stringify(unfinished) : null,
  ),
  EXPECT_ONE_CHANGE,
]

/** The same for a batch that changes nothing that other plans rest on: it writes no row. */
export const sameSerial = (org: number, seq: number): Statement[] => [statement(SAME, org, seq)]
