import type { DeadLetter } from '../../db/dead-letters.ts'

const time = (milliseconds: number): string => new Date(milliseconds).toISOString()

/** Kind, ids and what became of it: a message holds nothing else. */
export function presentLetter(letter: DeadLetter) {
  const { kind: _kind, org: _org, ...ids } = JSON.parse(letter.message) as Record<string, unknown>
  return {
    id: letter.id,
    kind: letter.kind,
    organization: letter.org,
    ids,
    attempts: letter.attempts,
    error: letter.error,
    diedAt: time(letter.died_at),
    replayedAt: letter.replayed_at === null ? null : time(letter.replayed_at),
  }
}
