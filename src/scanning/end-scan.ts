import { type Statement, statement } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import { type Auditor, auditRow } from '../evidence/audit-log/index.ts'
import type { ScanReason } from './reasons.ts'

export interface Ending {
  status: 'FAILED' | 'CANCELLED'
  reason: ScanReason | null
}

/** A scan that has not ended has a deadline; every statement that ends one requires it, so that it ends once. */
const RUNNING = 'deadline_at IS NOT NULL'
const SET = `status = ?3, reason = ?4, scanned_at = ?5, deadline_at = NULL,
  duration_ms = CASE WHEN started_at IS NULL THEN NULL ELSE ?5 - started_at END`

/** Ends one scan without a result, and those that follow it. A scan that has ended already stays as it is. */
export const endScan = (org: number, scanId: string, ending: Ending, now: number): Statement[] => [
  statement(
    `UPDATE scans SET ${SET} WHERE org = ?1 AND id = ?2 AND ${RUNNING}`,
    ...values(org, scanId, ending, now),
  ),
  statement(
    `UPDATE scans INDEXED BY scans_followers SET ${SET} WHERE org = ?1 AND leader_id = ?2 AND ${RUNNING}`,
    ...values(org, scanId, ending, now),
  ),
]

/** The same for the scan that a job is for at this moment. */
export const endScanOfJob = (org: number, jobId: string, ending: Ending, now: number): Statement[] =>
  endBy('(SELECT scan_id FROM jobs WHERE org = ?1 AND id = ?2)', org, jobId, ending, now)

/** The same, once the job is done without a result. */
export const endScanOfDoneJob = (org: number, jobId: string, ending: Ending, now: number): Statement[] =>
  endBy(
    "(SELECT scan_id FROM jobs WHERE org = ?1 AND id = ?2 AND state = 'done' AND result_key IS NULL)",
    org,
    jobId,
    ending,
    now,
  )

const endBy = (scan: string, org: number, jobId: string, ending: Ending, now: number): Statement[] => [
  statement(
    `UPDATE scans SET ${SET} WHERE org = ?1 AND id = ${scan} AND ${RUNNING}`,
    ...values(org, jobId, ending, now),
  ),
  statement(
    `UPDATE scans INDEXED BY scans_followers SET ${SET} WHERE org = ?1 AND leader_id = ${scan} AND ${RUNNING}`,
    ...values(org, jobId, ending, now),
  ),
]

const values = (org: number, id: string, ending: Ending, now: number) =>
  [org, id, ending.status, ending.reason && JSON.stringify(ending.reason), now] as const

/** Ends a job in the given states: no runner gets it, and what its runner says from now on changes nothing. */
export const endJob = (org: number, jobId: string, now: number): Statement =>
  statement(
    `UPDATE jobs SET state = 'done', cancel = 1, phase = 'done', lease_until = NULL, updated_at = ?
      WHERE org = ? AND id = ? AND state <> 'done'`,
    now,
    org,
    jobId,
  )

const ACTIONS = { FAILED: 'scan.failed', CANCELLED: 'scan.cancelled' } as const

/** SQL of the scan that a job is for at this moment. */
export const scanOfJob = (org: number, jobId: string): Statement =>
  sql`(SELECT scan_id FROM jobs WHERE org = ${org} AND id = ${jobId})`

/**
 * The audit row of a scan's end, behind the statements that end it; `scan` is its id or SQL of it. Written only where
 * the scan ended at this moment, so that of two who end it one leaves a row.
 */
export function auditEnd(ctx: Auditor, org: number, scan: string | Statement, ending: Ending): Statement {
  const id = typeof scan === 'string' ? sql`${scan}` : scan
  const { status, reason } = ending
  return auditRow(
    ctx,
    org,
    ACTIONS[status],
    sql`'scan:' || ${id}`,
    { status, reason },
    sql`EXISTS (SELECT 1 FROM scans WHERE org = ${org} AND id = ${id} AND status = ${status} AND scanned_at = ${ctx.now})`,
  )
}
