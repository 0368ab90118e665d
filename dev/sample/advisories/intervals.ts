import type { Interval } from './advisory.ts'
import type { OsvEvent } from './osv-record.ts'

/** OSV's event list as intervals, in its order; an interval that nothing closes has no upper bound. */
export function intervalsOf(events: readonly OsvEvent[]): Interval[] {
  const intervals: Interval[] = []
  let open: Interval | null = null
  for (const event of events) {
    if (event.introduced !== undefined) {
      if (open) throw new Error(`interval opened twice at ${event.introduced}`)
      open = {
        introduced: event.introduced === '0' ? null : event.introduced,
        fixed: null,
        lastAffected: null,
      }
      continue
    }
    if (!open) throw new Error(`interval closed before it opened at ${event.fixed ?? event.last_affected}`)
    intervals.push({ ...open, fixed: event.fixed ?? null, lastAffected: event.last_affected ?? null })
    open = null
  }
  if (open) intervals.push(open)
  return intervals
}
