import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { statement } from '../../src/db/database.ts'
import type { Env } from '../../src/env.ts'
import { emptyPools } from '../scanning/world.ts'
import { goEncode } from './go-json.ts'
import { aSensorWorld, type SensorWorld, twoEngines } from './sensor-world.ts'
import { envelopeOf, JSON_HEADERS, padded, wireCalls } from './wire-calls.ts'

/** Section 5.6: uploads and what `completed` says beside them. */

let world: SensorWorld
const { post, statusOf, scanOf, aClaim, send } = wireCalls(() => world)

beforeEach(async () => {
  await emptyPools()
  world = await aSensorWorld()
})

describe('5.6.1: completed', () => {
  it('changes nothing after an upload: the envelope says how the scan went', async () => {
    const { scanId, sensor, job } = await aClaim()
    await sensor.upload(
      envelopeOf(
        job,
        twoEngines.map((run) => ({ ...run, failed: true })),
      ),
    )
    const before = await world.job(scanId)
    expect((await statusOf(job, { status: 'completed' })).status).toBe(204)
    expect((await statusOf(job, { status: 'completed' })).status).toBe(204)
    expect((await world.job(scanId)).result_key).toBe(before.result_key)
    expect(await world.ended(scanId)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'all_engines_failed' },
    })
  })

  it('without an upload ends the scan FAILED with result_missing', async () => {
    const { scanId, job } = await aClaim()
    expect((await statusOf(job, { status: 'completed' })).status).toBe(204)
    expect(await scanOf(scanId)).toMatchObject({ status: 'FAILED', reason: { code: 'result_missing' } })
    expect((await statusOf(job, { status: 'completed' })).status).toBe(204)
  })
})

describe('5.6.6: an upload', () => {
  it('again is 200 with the same ids, also after the scan ended', async () => {
    const { scanId, job } = await aClaim()
    const first = await post('/api/scans/upload', envelopeOf(job))
    expect([first.status, first.body]).toEqual([200, { ok: true, scanId, imageId: null }])
    for (let again = 0; again < 3; again++) {
      const repeated = await post('/api/scans/upload', envelopeOf(job))
      expect([repeated.status, repeated.body.scanId]).toEqual([200, scanId])
    }
    const kept = await (env as unknown as Env).ARTIFACTS.list({
      prefix: `orgs/${world.ours.organization.num}/results/`,
    })
    expect(kept.objects).toHaveLength(1)
  })

  it('twice at the same time is taken once and answered alike', async () => {
    const { scanId, job } = await aClaim()
    const answers = await Promise.all([1, 2, 3].map(() => post('/api/scans/upload', envelopeOf(job))))
    expect(answers.map(({ status, body }) => [status, body.scanId])).toEqual(Array(3).fill([200, scanId]))
    const messages = await world.ours.db.all<{ n: number }>(
      statement(
        `SELECT count(*) AS n FROM audit_log WHERE org = ? AND action = 'scan.uploaded'`,
        world.ours.organization.num,
      ),
    )
    expect(messages[0]!.n).toBe(1)
  })

  it('of a scan that was cancelled is 200, and the scan stays as it is', async () => {
    const { scanId, job } = await aClaim()
    await world.ours.delete(`/api/scans/${scanId}`)
    const late = await post('/api/scans/upload', envelopeOf(job))
    expect([late.status, late.body.scanId]).toEqual([200, scanId])
    expect((await scanOf(scanId)).status).toBe('CANCELLED')
    expect((await world.job(scanId)).result_key).toBeNull()
  })

  it('of 50 MB is stored whole, with its length, without it and with a wrong one', {
    timeout: 90_000,
  }, async () => {
    for (const kind of ['announced', 'chunked', 'odd'] as const) {
      const { scanId, job } = await aClaim({ hostname: kind })
      const text = padded(job, 50_000_000)
      const length =
        kind === 'announced' ? { 'Content-Length': String(text.length) } : { 'Content-Length': 'none' }
      const headers = kind === 'chunked' ? JSON_HEADERS : { ...JSON_HEADERS, ...length }
      const answer = await send(new Blob([text]).stream(), headers)
      expect([kind, answer.status, answer.text]).toEqual([kind, 200, expect.stringContaining(scanId)])
      const key = (await world.job(scanId)).result_key!
      const stored = await (env as unknown as Env).ARTIFACTS.head(key)
      expect([kind, stored!.size]).toEqual([kind, text.length])
    }
  })

  it('that names its job at the end, behind megabytes, is taken, and nothing is left aside', async () => {
    const { scanId, job } = await aClaim()
    const { version, scan, image, ...rest } = JSON.parse(padded(job, 6_000_000))
    const answer = await send(
      goEncode({ ...rest, odd: '"}]\\', nested: [{ scan: { id: 'no' } }], image, scan, version }),
    )
    expect([answer.status, answer.body?.scanId]).toEqual([200, scanId])
    const prefix = `orgs/${world.ours.organization.num}/results/`
    const bucket = (env as unknown as Env).ARTIFACTS
    await vi.waitFor(async () => expect((await bucket.list({ prefix })).objects).toHaveLength(1), 10_000)
    expect((await world.ended(scanId)).status).toBe('COMPLETE')
  })

  it('without a Content-Type is taken', async () => {
    const { job } = await aClaim()
    const body = new TextEncoder().encode(goEncode(envelopeOf(job)))
    expect((await send(body, {})).status).toBe(200)
  })

  it('is read to its end before it is refused', async () => {
    const text = `{"version":"9.9","scan":{"id":"x"},"padding":"${'x'.repeat(6_000_000)}"}`
    let pulled = 0
    const bytes = new TextEncoder().encode(text)
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(bytes.slice(pulled, pulled + 100_000))
        pulled += 100_000
        if (pulled >= bytes.length) controller.close()
      },
    })
    expect((await send(body)).status).toBe(400)
    expect(pulled).toBeGreaterThanOrEqual(bytes.length)
  })

  it('takes three round trips and few rows, however long', async () => {
    for (const bytes of [1_000, 2_000_000]) {
      const { job } = await aClaim({ hostname: `h${bytes}` })
      const answer = await send(padded(job, bytes))
      expect(answer.status).toBe(200)
      expect(answer.meter.trips).toBeLessThanOrEqual(3)
      expect(answer.meter.written).toBeLessThanOrEqual(14)
      expect(answer.meter.read).toBeLessThanOrEqual(20)
    }
  })
})
