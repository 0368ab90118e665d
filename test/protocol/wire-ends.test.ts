import { beforeEach, describe, expect, it, vi } from 'vitest'
import { emptyPools } from '../scanning/world.ts'
import { goEnvelope } from './go-envelope.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, twoEngines } from './sensor-world.ts'
import { envelopeOf, heldBody, JSON_HEADERS, padded, wireCalls } from './wire-calls.ts'

/** Section 5.6: how jobs end, late and out of order, and uploads without a job. */

let world: SensorWorld
const { post, statusOf, scanOf, lost, aClaim, send } = wireCalls(() => world)

beforeEach(async () => {
  await emptyPools()
  world = await aSensorWorld()
})

describe('5.6.7: failed', () => {
  it('while the upload is still being received changes nothing, and the upload wins', async () => {
    const { scanId, sensor, job } = await aClaim()
    await world.scan('team/app:1.1')
    const body = heldBody(padded(job, 100_000))
    const uploading = send(body.stream, { ...JSON_HEADERS, 'Content-Length': String(body.length) })
    await vi.waitFor(async () => expect((await world.job(scanId)).receiving_until).not.toBeNull(), 10_000)
    expect((await statusOf(job, { status: 'failed', error: 'Client.Timeout' })).status).toBe(204)
    expect((await statusOf(job, { status: 'completed' })).status).toBe(204)
    expect(await sensor.fetchJobs()).toEqual([])
    expect((await world.job(scanId)).state).toBe('leased')
    body.goOn()
    expect((await uploading).status).toBe(200)
    expect((await world.ended(scanId)).status).toBe('COMPLETE')
    expect(await sensor.fetchJobs()).toHaveLength(1)
  })

  it('after the upload changes nothing', async () => {
    const { scanId, sensor, job } = await aClaim()
    await sensor.upload(envelopeOf(job))
    const { result_key: kept } = await world.job(scanId)
    for (const status of ['failed', 'cancelled', 'completed', 'failed']) {
      expect((await statusOf(job, { status, error: 'timeout' })).status).toBe(204)
    }
    expect((await world.job(scanId)).result_key).toBe(kept)
    expect((await world.ended(scanId)).status).toBe('COMPLETE')
  })

  it('without an upload ends the scan, with its words cut and never refused for their length', async () => {
    const { scanId, job } = await aClaim()
    const error = `POST /api/scans/upload failed (502): ${'<html>'.repeat(500_000)}`
    expect((await statusOf(job, { status: 'failed', error })).status).toBe(204)
    const scan = await scanOf(scanId)
    expect(scan).toMatchObject({ status: 'FAILED', reason: { code: 'runner_error' } })
    expect(scan.reason.message.length).toBeLessThan(600)
    expect((await statusOf(job, { status: 'failed', error })).status).toBe(204)
  })

  it('after an upload that broke off leaves the job to be handed out again', async () => {
    const { scanId, sensor, job } = await aClaim()
    const text = padded(job, 5_000_000)
    const answer = await send(text, { ...JSON_HEADERS, 'Content-Length': String(text.length + 10) })
    expect(answer.status).toBe(400)
    await vi.waitFor(async () => expect((await world.job(scanId)).receiving_until).toBeNull(), 10_000)
    expect((await sensor.fetchJobs()).map(({ id }) => id)).toEqual([job.id])
  })
})

describe('5.6.8: statuses', () => {
  it.each(['SUCCESS', 'PARTIAL', 'FAILED'])('of an envelope: %s is taken', async (status) => {
    const { job } = await aClaim()
    const envelope = { ...envelopeOf(job), scan: { id: job.id, status } }
    expect((await post('/api/scans/upload', envelope)).status).toBe(200)
  })

  it('of a job are completed, failed and cancelled, and nothing else', async () => {
    for (const status of ['completed', 'failed', 'cancelled']) {
      const { job } = await aClaim({ hostname: status })
      expect((await statusOf(job, { status })).status).toBe(204)
    }
    const { job } = await aClaim({ hostname: 'none' })
    for (const status of ['COMPLETED', 'running', '', null]) {
      expect((await statusOf(job, { status })).status).toBe(400)
    }
  })
})

describe('5.6.9: after SIGTERM', () => {
  it('cancelled puts the job back into the queue, without counting a lost runner', async () => {
    const { scanId, job } = await aClaim()
    expect((await statusOf(job, { status: 'cancelled' })).status).toBe(204)
    expect(await world.job(scanId)).toMatchObject({ state: 'queued', leases: 0 })
    expect((await statusOf(job, { status: 'cancelled' })).status).toBe(204)
    expect((await (await aWarmSensor(world, { hostname: 'next' })).fetchJobs())[0]!.id).toBe(job.id)
  })

  it('an upload of a sensor that is shown offline, and whose lease ran out, is taken', async () => {
    const { scanId, sensor, job } = await aClaim()
    await lost(scanId)
    expect((await sensor.upload(envelopeOf(job)))!.scanId).toBe(scanId)
    await sensor.status(job.id, 'completed')
    expect((await world.ended(scanId)).status).toBe('COMPLETE')
    expect(sensor.errors).toEqual([])
  })

  it('a late status of a job that waits again leaves it waiting', async () => {
    const { scanId, job } = await aClaim()
    await lost(scanId)
    for (const status of ['failed', 'cancelled', 'completed']) {
      expect((await statusOf(job, { status })).status).toBe(204)
    }
    expect((await world.job(scanId)).state).toBe('queued')
  })

  it('the result of the first of two hosts is taken, and the second is answered alike', async () => {
    const { scanId, sensor, job } = await aClaim()
    await lost(scanId)
    const second = await aWarmSensor(world, { hostname: 'second' })
    expect((await second.fetchJobs())[0]!.id).toBe(job.id)
    expect((await sensor.upload(envelopeOf(job)))!.scanId).toBe(scanId)
    expect((await second.upload(envelopeOf(job)))!.scanId).toBe(scanId)
  })
})

describe('5.6.12: an upload whose scan.id is not a known job', () => {
  it('is a scan of its own: 201, and 200 with the same ids again', async () => {
    const ref = `${world.host}/team/app:3.0`
    const scan = { id: crypto.randomUUID(), imageRef: ref, startedAt: Date.now(), finishedAt: Date.now() }
    const envelope = goEnvelope(scan, { trivy: '0.69.3' }, twoEngines)
    const first = await post('/api/scans/upload', envelope)
    expect([first.status, first.body]).toEqual([201, expect.objectContaining({ ok: true })])
    const again = await post('/api/scans/upload', envelope)
    expect([again.status, again.body]).toEqual([200, first.body])
    expect(await world.ended(first.body.scanId)).toMatchObject({ status: 'COMPLETE', image: ref })
  })

  it('of another organization, or of no job at all, touches none of its jobs', async () => {
    const theirs = await aSensorWorld()
    const scanId = await theirs.scan()
    const [job] = await (await aWarmSensor(theirs)).fetchJobs()
    const before = await theirs.job(scanId)
    const answer = await post('/api/scans/upload', envelopeOf(job!))
    expect(answer.status === 201 || (answer.status >= 400 && answer.status < 500)).toBe(true)
    expect(await theirs.job(scanId)).toEqual(before)
  })
})

describe('5.6.19: the envelope of odd references', () => {
  it('is taken for the job that it names, whatever image it derived', async () => {
    const { scanId, job } = await aClaim()
    const digest = `sha256:${'a'.repeat(64)}`
    const image = { ref: 'elsewhere/x', digest: `elsewhere/x@${digest}`, name: 'repo@sha256', tag: 'abc' }
    const answer = await post('/api/scans/upload', { ...envelopeOf(job), image })
    expect([answer.status, answer.body.scanId]).toEqual([200, scanId])
    const scan = await world.ended(scanId)
    expect(scan).toMatchObject({ status: 'COMPLETE', image: `${world.host}/team/app:1.0`, digest })
    const stored = (await world.ours.get(`/api/images/${scan.imageId}`)).body.data
    expect(stored.name).toBe(`${world.host}/team/app`)
  })
})
