/** What people decided about a match; `matches.status` is the position in this list. */
export const TRIAGE_STATUSES = ['OPEN', 'ACKNOWLEDGED', 'IN_PROGRESS', 'FIXED', 'WONT_FIX'] as const

export type TriageStatus = (typeof TRIAGE_STATUSES)[number]
