import type { z } from '@hono/zod-openapi'
import type { SafeReply } from '../../../net/safe-fetch.ts'
import { done, fail, type RegistryError, type RegistryOutcome } from '../errors.ts'

const MAX_RETRY_AFTER_S = 86_400 // a day; more is not believed

/** What a status says, 401 apart; null for success. */
export function replyFault(reply: SafeReply, now: number): RegistryError | null {
  const { status } = reply
  if (status >= 200 && status < 300) return null
  if (status === 401) return { kind: 'unauthorized' }
  if (status === 403) return { kind: 'forbidden' }
  if (status === 404) return { kind: 'not_found' }
  if (status === 429) return { kind: 'rate_limited', retryAfterSeconds: retryAfter(reply, now) }
  if (status >= 500) return { kind: 'server_error', status, retryAfterSeconds: retryAfter(reply, now) }
  return { kind: 'unexpected_status', status }
}

/** The body in the shape asked for; HTML, broken JSON and other shapes are `invalid_reply`. */
export function replyJson<T>(reply: SafeReply, schema: z.ZodType<T>): RegistryOutcome<T> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder().decode(reply.body))
  } catch {
    return fail({ kind: 'invalid_reply', message: 'It did not answer with JSON.' })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return done(parsed.data)
  return fail({ kind: 'invalid_reply', message: 'Its JSON does not have the expected members.' })
}

/** Seconds, or a date, as RFC 9110 has them. */
function retryAfter(reply: SafeReply, now: number): number | null {
  const text = reply.headers.get('retry-after')?.trim() ?? ''
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Math.ceil((Date.parse(text) - now) / 1000)
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_S) : null
}
