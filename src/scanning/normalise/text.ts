/** Control characters, except those that `prose` keeps. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g
const CONTROL_BUT_BREAKS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Counts what was cut or left out, so that a report of any size yields a bounded number of log lines. */
export interface Notes {
  count(what: string, times?: number): void
  lines(): string[]
}

export function makeNotes(): Notes {
  const counts = new Map<string, number>()
  return {
    count: (what, times = 1) => void counts.set(what, (counts.get(what) ?? 0) + times),
    lines: () => [...counts].map(([what, n]) => `normalise: ${what} (${n})`).sort(),
  }
}

/** Cuts at `max` UTF-16 units and never between the halves of a surrogate pair; a cut is counted under `label`. */
function cut(value: string, max: number, label: string, notes: Notes): string {
  if (value.length <= max) return value
  notes.count(`${label} cut at ${max} characters`)
  const end = /[\ud800-\udbff]/.test(value[max - 1] ?? '') ? max - 1 : max
  return value.slice(0, end)
}

/** One line of well-formed text without control characters, trimmed and at most `max` long. Absent is ''. */
export function line(value: string | null | undefined, max: number, label: string, notes: Notes): string {
  if (!value) return ''
  return cut(value.toWellFormed().replace(CONTROL, '').trim(), max, label, notes)
}

/** As `line`, but line breaks and tabs stay. Empty text is null. */
export function prose(
  value: string | null | undefined,
  max: number,
  label: string,
  notes: Notes,
): string | null {
  if (!value) return null
  const text = value.toWellFormed().replace(/\r\n?/g, '\n').replace(CONTROL_BUT_BREAKS, '').trim()
  return cut(text, max, label, notes) || null
}

/** The first `max` entries; what is left out is counted under `label`. */
export function bounded<T>(values: T[], max: number, label: string, notes: Notes): T[] {
  if (values.length <= max) return values
  notes.count(`${label} beyond ${max} left out`, values.length - max)
  return values.slice(0, max)
}

/** Order by UTF-16 units: the same on every machine, unlike `localeCompare`. */
export const byUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
