import type { Failure } from '../engines/engine.ts'

export const MAX_DATABASE_AGE_HOURS = 120 // grype's own default, held for trivy too, which checks nothing
const MAX_AHEAD_HOURS = 24 // the server refuses builds later than its clock and a day
const HOUR_MS = 3_600_000

/** Whether a database built at `builtAt` may be scanned with at `nowMs`; null when it may. */
export function judgeAge(builtAt: string, nowMs: number): Failure | null {
  const ageMs = nowMs - Date.parse(builtAt)
  if (ageMs > MAX_DATABASE_AGE_HOURS * HOUR_MS)
    return {
      code: 'database_too_old',
      detail: `It was built at ${builtAt}; ${MAX_DATABASE_AGE_HOURS} hours are allowed.`,
    }
  if (-ageMs > MAX_AHEAD_HOURS * HOUR_MS)
    return { code: 'database_from_future', detail: `It says it was built at ${builtAt}.` }
  return null
}

/** A time as engines write it (any precision, any offset) as ISO 8601 in UTC; null when it is none. */
export function toInstant(text: string): string | null {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}
