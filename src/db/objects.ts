import type { Env } from '../env.ts'
import type { RateLimitRule, RateLimitState } from '../http/rate-limit.ts'
import { reaching } from './storage-unavailable.ts'

/**
 * Counts one request in the bucket `name`. One Durable Object a bucket, never a global one. A limit that cannot be
 * asked admits nobody.
 */
export const takeFromBucket = (
  env: Env,
  name: string,
  rule: RateLimitRule,
  now: number,
): Promise<RateLimitState> =>
  reaching('object', env.RATE_LIMITS.get(env.RATE_LIMITS.idFromName(name)).take(rule, now))

/** Who watches an organization's scans. One Durable Object an organization. */
export const scanViewers = (env: Env, org: number) =>
  env.SCAN_VIEWERS.get(env.SCAN_VIEWERS.idFromName(String(org)))

/** The hints and the waiting polls of one pool of runners: "cloud", or a registry's id. */
export const runnerPool = (env: Env, pool: string) => env.RUNNER_POOLS.get(env.RUNNER_POOLS.idFromName(pool))
