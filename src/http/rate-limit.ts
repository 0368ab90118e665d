import { DurableObject } from 'cloudflare:workers'
import type { Env } from '../env.ts'

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

const TIMES = 'times'

/**
 * One bucket: an exact sliding window over the times of accepted requests, kept through restarts. Named by
 * organization, operation and address; an alarm empties it once its window has passed.
 */
export class RateLimit extends DurableObject<Env> {
  private times: number[] = []

  constructor(state: DurableObjectState, env: Env) {
    super(state, env)
    state.blockConcurrencyWhile(async () => {
      this.times = (await state.storage.get<number[]>(TIMES)) ?? []
    })
  }

  /** Counts one request at `now` (ms) when the window has room; says what is left either way. */
  async take(rule: RateLimitRule, now: number): Promise<RateLimitState> {
    const window = rule.windowSeconds * 1000
    this.times = this.times.filter((time) => time > now - window)
    const allowed = this.times.length < rule.requests
    if (allowed) {
      this.times.push(now)
      await this.ctx.storage.put(TIMES, this.times)
      await this.ctx.storage.setAlarm(now + window)
    }
    const oldest = this.times[0] ?? now
    return {
      allowed,
      limit: rule.requests,
      remaining: rule.requests - this.times.length,
      resetSeconds: Math.max(1, Math.ceil((oldest + window - now) / 1000)),
    }
  }

  override async alarm(): Promise<void> {
    this.times = []
    await this.ctx.storage.deleteAll()
  }
}
