import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startHeartbeats } from '../src/agent/heartbeats.ts'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

function beating(beat: () => Promise<void> = async () => {}) {
  const at: number[] = []
  const events: string[] = []
  const write = (line: string) => void events.push(JSON.parse(line).event)
  const log = createLog({ level: 'info', redactor: createRedactor(), write, now: () => new Date() })
  const counted = async () => {
    at.push(Date.now())
    await beat()
  }
  const heartbeats = startHeartbeats({
    intervalMs: 30_000,
    minGapMs: 2000,
    retryMs: 5000,
    beat: counted,
    log,
  })
  return { at, events, heartbeats }
}

describe('heartbeats', () => {
  it('come every interval', async () => {
    const { at } = beating()
    await vi.advanceTimersByTimeAsync(95_000)
    expect(at).toEqual([30_000, 60_000, 90_000])
  })

  it('come early when nudged, and never closer than the gap', async () => {
    const { at, heartbeats } = beating()
    await vi.advanceTimersByTimeAsync(10_000)
    for (let n = 0; n < 100; n++) {
      heartbeats.nudge()
      await vi.advanceTimersByTimeAsync(50)
    }
    expect(at).toEqual([10_000, 12_000, 14_000])
    await vi.advanceTimersByTimeAsync(40_000)
    expect(at.slice(3)).toEqual([16_000, 46_000])
  })

  it('come sooner after a failure, which is said once', async () => {
    let broken = true
    const { at, events } = beating(async () => {
      if (broken) throw new Error('no')
    })
    await vi.advanceTimersByTimeAsync(41_000)
    broken = false
    await vi.advanceTimersByTimeAsync(10_000)
    expect(at).toEqual([30_000, 35_000, 40_000, 45_000])
    expect(events).toEqual(['heartbeat_failed', 'heartbeat_recovered'])
  })

  it('are one at a time: a slow one is not overtaken', async () => {
    let finish = () => {}
    const { at, heartbeats } = beating(
      () =>
        new Promise((done) => {
          finish = done
        }),
    )
    await vi.advanceTimersByTimeAsync(30_000)
    heartbeats.nudge()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(at).toEqual([30_000])
    finish()
    await vi.advanceTimersByTimeAsync(0)
    expect(at).toHaveLength(2)
  })

  it('end when stopped', async () => {
    const { at, heartbeats } = beating()
    heartbeats.stop()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(at).toEqual([])
  })
})
