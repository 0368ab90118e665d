import { sha256Hex } from '../../crypto/tokens.ts'

/** Blocks of a stream of Server-Sent Events that shows one state as it changes. No I/O but the digest. */

/** Names a state that was sent: a number that only grows, and a digest of the state. On the wire `number-digest`. */
export interface EventId {
  number: number
  mark: string
}

const RETRY_MS = 3000 // before a client that lost its stream asks again
const MARK_DIGITS = 16
const FORM = /^(\d{1,15})-([0-9a-f]{16})$/
const AHEAD = 24 * 3_600_000 // a number further ahead of the clock was not given by this server

/** What a client says it saw last; null for nothing, and for what no server sent. */
export function parseEventId(text: string | null, now: number): EventId | null {
  const [, digits, mark] = FORM.exec(text ?? '') ?? []
  if (!digits || !mark || Number(digits) > now + AHEAD) return null
  return { number: Number(digits), mark }
}

export const markOf = async (state: string): Promise<string> => (await sha256Hex(state)).slice(0, MARK_DIGITS)

/** The clock's milliseconds, or one more than the last: another server's clock may be behind. */
export const nextId = (last: EventId | null, mark: string, now: number): EventId => ({
  number: Math.max((last?.number ?? 0) + 1, now),
  mark,
})

/** `data` is JSON on one line. */
export const eventBlock = (id: EventId, event: 'progress' | 'end', data: string): string =>
  `id: ${id.number}-${id.mark}\nevent: ${event}\ndata: ${data}\n\n`

export const RETRY_BLOCK = `retry: ${RETRY_MS}\n\n`

/** Nothing changed: keeps proxies from closing the connection. */
export const ALIVE_BLOCK = ': alive\n\n'

export const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
} as const
