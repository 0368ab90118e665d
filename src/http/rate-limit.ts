import { DurableObject } from 'cloudflare:workers'

export interface RateLimitRule {
  requests: number
  windowSeconds: number
}

export interface RateLimitState {
  allowed: boolean
  limit: number
  remaining: number
  /** Seconds until the oldest request leaves the window. */
  resetSeconds: number
}

/** One bucket: an exact sliding window over the times of accepted requests. Named by organization, route and address. */
export class RateLimit extends DurableObject {
  private times: number[] = []

  /** Counts one request at `now` (ms) when the window has room; says what is left either way. */
  take(rule: RateLimitRule, now: number): RateLimitState {
    const start = now - rule.windowSeconds * 1000
    this.times = this.times.filter((time) => time > start)
    const allowed = this.times.length < rule.requests
    if (allowed) this.times.push(now)
    const oldest = this.times[0] ?? now
    return {
      allowed,
      limit: rule.requests,
      remaining: Math.max(0, rule.requests - this.times.length),
      resetSeconds: Math.max(1, Math.ceil((oldest + rule.windowSeconds * 1000 - now) / 1000)),
    }
  }
}
