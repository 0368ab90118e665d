import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { takeFromBucket } from '../../src/db/objects.ts'
import type { Env } from '../../src/env.ts'

const bindings = env as Env
const RULE = { requests: 3, windowSeconds: 60 }
const START = Date.now()
const take = (bucket: string, seconds: number) =>
  takeFromBucket(bindings, bucket, RULE, START + seconds * 1000)
const stub = (bucket: string) => bindings.RATE_LIMITS.get(bindings.RATE_LIMITS.idFromName(bucket))

describe('RateLimit', () => {
  it('lets a request in as soon as the oldest leaves the window, and says when', async () => {
    for (const second of [0, 10, 20]) expect((await take('slide', second)).allowed).toBe(true)
    expect(await take('slide', 30)).toEqual({ allowed: false, limit: 3, remaining: 0, resetSeconds: 30 })
    expect((await take('slide', 60.001)).allowed).toBe(true)
    expect((await take('slide', 60.002)).allowed).toBe(false)
  })

  it('remembers accepted requests through a restart', async () => {
    for (const second of [0, 1, 2]) await take('restart', second)
    await evictDurableObject(stub('restart'))
    expect((await take('restart', 3)).allowed).toBe(false)
  })

  it('is empty after its alarm', async () => {
    for (const second of [0, 1, 2]) await take('alarm', second)
    expect(await runDurableObjectAlarm(stub('alarm'))).toBe(true)
    expect(await take('alarm', 3)).toMatchObject({ allowed: true, remaining: 2 })
  })

  it('never accepts more than the rule in any window, whatever the times', async () => {
    let bucket = 0
    const gaps = fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(gaps, async (steps) => {
        const name = `property-${bucket++}`
        const accepted: number[] = []
        let now = START
        for (const step of steps) {
          now += step
          if ((await takeFromBucket(bindings, name, RULE, now)).allowed) accepted.push(now)
        }
        for (const time of accepted) {
          expect(
            accepted.filter((other) => other > time - 60_000 && other <= time).length,
          ).toBeLessThanOrEqual(3)
        }
      }),
      { numRuns: 25 },
    )
  })
})
