import type { Meter } from './db/database.ts'
import { writeDataPoint } from './db/metrics.ts'
import type { Env } from './env.ts'

/** Names of LOG_LEVEL, each silencing those before it. */
const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = Exclude<(typeof LEVELS)[number], 'silent'>

/** What one request, queue message or cron run was, and what it cost. Ids, names and numbers: never a text of a client. */
export interface Unit {
  event: 'request' | 'message' | 'cron'
  requestId: string
  /** The public id of the organization, or null where none is known. */
  organization: string | null
  /** The operation, the kind of message, or "every_minute". */
  name: string
  /** HTTP status, or how the message or run ended. */
  outcome: string | number
  startedAt: number
  meter: Meter
}

/**
 * One JSON line. In production the clock stands still between I/O, so `time` is that of the last answer of a
 * database, object or network.
 */
export function log(env: Env, level: LogLevel, event: string, fields: object): void {
  if (LEVELS.indexOf(level) < Math.max(0, LEVELS.indexOf((env.LOG_LEVEL ?? 'info') as LogLevel))) return
  console[level](JSON.stringify({ level, event, time: new Date().toISOString(), ...fields }))
}

/** The one line, and where Analytics Engine is bound the one data point, of a unit of work. */
export function logUnit(env: Env, level: LogLevel, unit: Unit, details: object = {}): void {
  const { event, requestId, organization, name, outcome, startedAt, meter } = unit
  const ms = Date.now() - startedAt
  const [what, end] = event === 'request' ? ['route', 'status'] : ['kind', 'outcome']
  log(env, level, event, { requestId, organization, [what]: name, [end]: outcome, ms, ...meter, ...details })
  writeDataPoint(env, {
    indexes: [organization ?? 'none'],
    blobs: [
      event,
      name,
      typeof outcome === 'number' ? `${Math.floor(outcome / 100)}xx` : outcome,
      organization ?? '',
    ],
    doubles: [ms, meter.roundTrips, meter.rowsRead, meter.rowsWritten],
  })
}

/** For work that runs after the reply: its failure is a line that names the request, and harms nothing. */
export const logDeferred =
  (env: Env, requestId: string) =>
  (error: unknown): void =>
    log(env, 'error', 'deferred_work_failed', { requestId, error: String(error) })
