import { type Statement, statement } from './database.ts'

/** The schedule of the sweeps. */
export const EVERY_MINUTE_RUN = 'every_minute'

/** How the last run of a schedule went. `failed` names the first sweeps that failed. */
export interface CronRun {
  ranAt: number
  ms: number
  failures: number
  failed: string[]
}

/** Remembers a run; one that was scheduled earlier and ends later changes nothing. */
export const rememberRun = (name: string, { ranAt, ms, failures, failed }: CronRun): Statement =>
  statement(
    `INSERT INTO cron_runs (name, ran_at, ms, failures, failed) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (name) DO UPDATE SET ran_at = ?2, ms = ?3, failures = ?4, failed = ?5 WHERE ran_at <= ?2`,
    name,
    ranAt,
    ms,
    failures,
    JSON.stringify(failed),
  )

export const lastRun = (name: string): Statement =>
  statement('SELECT ran_at AS ranAt, ms, failures, failed FROM cron_runs WHERE name = ?', name)

/** The row of `lastRun`, or null where the schedule never ran. */
export function presentRun(row: Record<string, unknown> | undefined): CronRun | null {
  return row ? ({ ...row, failed: JSON.parse(String(row.failed)) } as CronRun) : null
}
