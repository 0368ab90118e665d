import type { Schedule } from './schemas.ts'

const MINUTE = 60_000
const PERIOD_MINUTES: Record<Schedule, number | null> = {
  manual: null,
  on_push: null,
  daily: 24 * 60,
  weekly: 7 * 24 * 60,
}

/**
 * The next run after `now`, in milliseconds since 1970; null where nothing is scheduled. A registry keeps its
 * minute of the day or week, spread by its id, so that registries do not all start at once.
 */
export function nextRun(schedule: Schedule, registryId: string, now: number): number | null {
  const minutes = PERIOD_MINUTES[schedule]
  if (minutes === null) return null
  const period = minutes * MINUTE
  const offset = (spread(registryId) % minutes) * MINUTE
  return Math.floor((now - offset) / period + 1) * period + offset
}

/** FNV-1a in 32 bits: even enough for minutes, and the same in every version of the program. */
function spread(text: string): number {
  let hash = 0x811c9dc5
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0
  return hash
}
