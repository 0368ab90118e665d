import { EXPECT_ONE_CHANGE, type Statement, statement } from '../../db/database.ts'
import type { PerEngine } from './engines.ts'

const NEXT = `INSERT INTO ingest_state (org, seq, trivy_newest, grype_newest, osv_newest)
  SELECT ?1, ?2 + 1, ?3, ?4, ?5 WHERE ?2 = 0 OR EXISTS (SELECT 1 FROM ingest_state WHERE org = ?1)
  ON CONFLICT (org) DO UPDATE SET seq = excluded.seq, trivy_newest = excluded.trivy_newest,
    grype_newest = excluded.grype_newest, osv_newest = excluded.osv_newest WHERE seq = ?2`

const SAME = `SELECT json_extract(CASE WHEN
  coalesce((SELECT seq FROM ingest_state WHERE org = ?1), 0) = ?2 THEN '{}' ELSE 'lost race' END, '$')`

/** Goes on from the serial number that was read, or loses the race: nothing that the plan rests on has changed. */
export const nextSerial = (org: number, seq: number, newest: PerEngine<number | null>): Statement[] => [
  statement(NEXT, org, seq, newest.trivy, newest.grype, newest.osv),
  EXPECT_ONE_CHANGE,
]

/** The same for a batch that changes nothing that other plans rest on: it writes no row. */
export const sameSerial = (org: number, seq: number): Statement[] => [statement(SAME, org, seq)]
