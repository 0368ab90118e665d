import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { statement } from '../../src/db/database.ts'
import type { Env } from '../../src/env.ts'
import { emptyPools } from '../scanning/world.ts'
import { caller } from '../world.ts'
import { goEnvelope } from './go-envelope.ts'
import { goEncode } from './go-json.ts'
import type { GoJob } from './go-sensor.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, theDirectory, twoEngines } from './sensor-world.ts'

/** Section 5.6 of the product's facts, point by point: what the server can be held to. */

const MINUTE = 60_000
const WIRE_ID = /^[A-Za-z0-9_-]{1,200}$/
const JSON_HEADERS = { 'Content-Type': 'application/json' }

let world: SensorWorld

beforeEach(async () => {
  await emptyPools()
  world = await aSensorWorld()
})

const envelopeOf = (job: GoJob, runs = twoEngines) =>
  goEnvelope(
    { id: job.id, imageRef: job.scan!.imageRef, startedAt: Date.now(), finishedAt: Date.now() },
    { trivy: '0.69.3' },
    runs,
  )

const post = (path: string, body: unknown) => world.wire.post(path, body)
const statusOf = (job: GoJob, body: unknown) => post(`/api/agent/jobs/${job.id}/status`, body)
const scanOf = async (scanId: string) => (await world.ours.get(`/api/scans/${scanId}`)).body.data

/** The sensor was silent for so long that its lease ran out and the sweep saw it. */
async function lost(scanId: string) {
  await world.change('UPDATE jobs SET lease_until = 1 WHERE id = ?', scanId)
  await theDirectory().run(statement('UPDATE agents SET last_heartbeat_at = 1, registered_at = 1'))
  await world.sweep()
  expect((await world.job(scanId)).state).toBe('queued')
}

async function aClaim(options = {}) {
  const scanId = await world.scan()
  const sensor = await aWarmSensor(world, options)
  const [job] = await sensor.fetchJobs()
  expect(job).toBeDefined()
  return { scanId, sensor, job: job! }
}

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

describe('5.6.2: agent and upload paths', () => {
  it.each(['//api', '/api', '///api'])(
    'below %s are answered directly, with and without a slash behind',
    async (api) => {
      const { job } = await aClaim()
      for (const end of ['', '/', '//']) {
        const answers = [
          await post(`${api}/agent/register${end}`, { name: 'n', version: '1', capabilities: ['scan'] }),
          await post(`${api}/agent/heartbeat${end}`, { agentId: 'x', status: 'idle', activeScans: 0 }),
          await world.wire.get(`${api}/agent/jobs${end}?agentId=x`),
          await post(`${api}/scans/upload${end}`, envelopeOf(job)),
          await post(`${api}/agent/jobs/${job.id}/status${end}`, { status: 'completed' }),
        ]
        expect(answers.map(({ status }) => status)).toEqual([200, 204, 200, 200, 204])
        expect(answers.every(({ headers }) => headers.get('Location') === null)).toBe(true)
      }
    },
  )
})

describe('5.6.3: ids', () => {
  it('of agents and jobs are safe in a query, a path and as a directory', async () => {
    const { sensor, job } = await aClaim()
    expect(sensor.agentId).toMatch(WIRE_ID)
    expect(job.id).toMatch(WIRE_ID)
  })
})

describe('5.6.4: a poll reply', () => {
  it('has exactly the members that the sensor decodes, each of its type', async () => {
    const scanId = await world.scan()
    const sensor = await aWarmSensor(world)
    const polled = await world.wire.get(`/api/agent/jobs?agentId=${sensor.agentId}`)
    const scan = {
      imageRef: `${world.host}/team/app:1.0`,
      source: 'registry',
      scanners: ['trivy', 'grype', 'syft'],
    }
    const job = { id: expect.stringContaining(scanId), type: 'scan', createdAt: expect.any(String), scan }
    expect(polled.body).toStrictEqual({ jobs: [job] })
    expect(polled.headers.get('Content-Type')).toBe('application/json')
  })

  it('has no job for an agent whose capabilities do not include it', async () => {
    await world.scan()
    const body = { name: 'p', version: '1', capabilities: ['patch'], scannerVersions: { trivy: '1' } }
    const { agentId } = (await post('/api/agent/register', body)).body
    expect((await world.wire.get(`/api/agent/jobs?agentId=${agentId}`)).body).toEqual({ jobs: [] })
  })
})

describe('5.6.5: a poll of an agent that holds a job', () => {
  it('gets the same job again, and no second one', async () => {
    const { scanId, sensor, job } = await aClaim()
    await world.scan('team/app:1.1')
    expect((await sensor.fetchJobs()).map(({ id }) => id)).toEqual([job.id])
    expect(await world.job(scanId)).toMatchObject({ state: 'leased', leases: 1, fence: 1 })
  })

  it('gets one job though it comes twice at the same time', async () => {
    await Promise.all(['team/app:1.0', 'team/app:1.1', 'team/app:2'].map((image) => world.scan(image)))
    const sensor = await aWarmSensor(world)
    const polled = await Promise.all(Array.from({ length: 6 }, () => sensor.fetchJobs()))
    expect(new Set(polled.flat().map(({ id }) => id)).size).toBe(1)
    expect(polled.every((jobs) => jobs.length === 1)).toBe(true)
  })

  it('does not get a job of another host, and gets its own when the reply of the claim was lost', async () => {
    const scanId = await world.scan()
    const deaf = await aWarmSensor(world, {
      network: async (request: Request, send: (request: Request) => Promise<Response>) => {
        const response = await send(request)
        if (request.url.includes('/jobs?')) throw new Error('EOF')
        return response
      },
    })
    expect(await deaf.pollOnce()).toEqual([])
    expect((await world.job(scanId)).state).toBe('leased')
    expect(await (await aWarmSensor(world, { hostname: 'other' })).pollOnce()).toEqual([])
    expect(await (await aWarmSensor(world)).pollOnce()).toHaveLength(1)
  })

  it('counts as a lost runner after a while, and three of them end the scan', async () => {
    const { scanId, sensor } = await aClaim()
    for (const leases of [2, 3]) {
      await world.change('UPDATE jobs SET handed_at = handed_at - 60000 WHERE id = ?', scanId)
      expect(await sensor.fetchJobs()).toHaveLength(1)
      expect((await world.job(scanId)).leases).toBe(leases)
    }
    await world.change('UPDATE jobs SET handed_at = handed_at - 60000 WHERE id = ?', scanId)
    expect(await sensor.fetchJobs()).toEqual([])
    await world.sweep(Date.now() + 3 * MINUTE)
    expect(await scanOf(scanId)).toMatchObject({ status: 'FAILED', reason: { code: 'runner_lost' } })
  })
})

/** A body of `bytes` that goes on only when it is told to. */
function heldBody(text: string) {
  let goOn = () => {}
  const told = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const bytes = new TextEncoder().encode(text)
  const cut = Math.floor(bytes.length / 2)
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(bytes.slice(0, cut))
      await told
      controller.enqueue(bytes.slice(cut))
      controller.close()
    },
  })
  return { stream, length: bytes.length, goOn }
}

const send = (body: BodyInit, headers: Record<string, string> = JSON_HEADERS) =>
  world.wire.send('POST', '/api/scans/upload', { body, headers })

const padded = (job: GoJob, bytes: number) => {
  const envelope = envelopeOf(job) as { findings: { packages: unknown[] } }
  const one = { name: 'p', version: '1', type: 'npm', source: 'syft', purl: `pkg:npm/p@1#${'x'.repeat(400)}` }
  envelope.findings.packages.push(...Array.from({ length: Math.ceil(bytes / 480) }, () => one))
  return goEncode(envelope)
}

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

describe('5.6.10: an agent that never registers again', () => {
  it.each(['agt_unknown', 'agt_00000000000000000000', 'some-other-id', 'x'.repeat(200)])(
    'is known by its key under the id %s on every route',
    async (agentId) => {
      const scanId = await world.scan()
      const poll = () => world.wire.get(`/api/agent/jobs?agentId=${agentId}`)
      const polled = await poll()
      expect([polled.status, polled.body.jobs.length]).toEqual([200, 1])
      expect((await poll()).body.jobs[0].id).toBe(polled.body.jobs[0].id)
      const beat = await post('/api/agent/heartbeat', { agentId, status: 'scanning', activeScans: 1 })
      expect(beat.status).toBe(204)
      expect((await post('/api/scans/upload', envelopeOf(polled.body.jobs[0]))).status).toBe(200)
      expect((await statusOf(polled.body.jobs[0], { status: 'completed' })).status).toBe(204)
      expect((await world.job(scanId)).result_key).not.toBeNull()
    },
  )

  it("under another organization's id has nothing of that organization", async () => {
    const theirs = await aSensorWorld()
    const sensor = await aWarmSensor(theirs)
    const scanId = await theirs.scan()
    expect((await world.wire.get(`/api/agent/jobs?agentId=${sensor.agentId}`)).body).toEqual({ jobs: [] })
    await post('/api/agent/heartbeat', { agentId: sensor.agentId })
    const [job] = await sensor.fetchJobs()
    expect(job!.id).toContain(scanId)
    expect((await statusOf(job!, { status: 'failed' })).status).toBe(404)
    expect((await theirs.job(scanId)).state).toBe('leased')
    const row = await theDirectory().first<{ org: number }>(
      statement('SELECT org FROM agents WHERE id = ?', sensor.agentId),
    )
    expect(row!.org).toBe(theirs.ours.organization.num)
  })

  it('with a revoked key is 401 with one round trip, on every route', async () => {
    const { job, sensor } = await aClaim()
    await theDirectory().run(
      statement('UPDATE credentials SET revoked_at = 1 WHERE registry_id = ?', world.registryId),
    )
    const answers = [
      await world.wire.get(`/api/agent/jobs?agentId=${sensor.agentId}`),
      await post('/api/agent/heartbeat', { agentId: sensor.agentId }),
      await statusOf(job, { status: 'completed' }),
      await post('/api/scans/upload', envelopeOf(job)),
      await post('/api/agent/register', { name: 'n', version: '1' }),
    ]
    for (const { status, meter, body } of answers) {
      expect([status, meter.trips, body.code]).toEqual([401, 1, 'unauthorized'])
    }
  })
})

describe('5.6.11: registration', () => {
  it('is answered with a type and an agentId at the top', async () => {
    const answer = await post('/api/agent/register', { name: 'n', version: '0.1.0', capabilities: ['scan'] })
    expect(answer.headers.get('Content-Type')).toBe('application/json')
    expect(answer.body.agentId).toMatch(WIRE_ID)
    expect(answer.body).toMatchObject({ protocolVersion: 1, capabilities: expect.arrayContaining(['scan']) })
  })

  it('that is refused is tried ten times in 151 seconds, and nothing is polled without an id', async () => {
    const sensor = world.sensor({ key: `hg_ak_${'0'.repeat(48)}` })
    expect(await sensor.register()).toBe(false)
    expect(sensor.calls).toHaveLength(10)
    expect(sensor.slept.reduce((sum, seconds) => sum + seconds, 0)).toBe(151)
    expect(await sensor.pollOnce()).toEqual([])
    expect(sensor.calls).toHaveLength(10)
  })

  it('without an id leaves heartbeats that are heard for the key', async () => {
    const sensor = await aWarmSensor(world)
    await theDirectory().run(
      statement('UPDATE agents SET last_heartbeat_at = 1 WHERE id = ?', sensor.agentId),
    )
    for (const agentId of ['', null]) {
      const beat = await post('/api/agent/heartbeat', { agentId, status: 'idle', activeScans: 0 })
      expect(beat.status).toBe(204)
    }
    expect((await world.wire.get('/api/agent/jobs')).body).toEqual({ jobs: [] })
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

describe('5.6.13 and 5.6.21: an idle poll', () => {
  it('is one GET: an object with an empty list and a type', async () => {
    const sensor = await aWarmSensor(world)
    expect(await sensor.pollOnce()).toEqual([])
    expect(sensor.calls.filter((call) => call.startsWith('GET'))).toEqual(['GET /api/agent/jobs 200'])
    const idle = await world.wire.get(`/api/agent/jobs?agentId=${sensor.agentId}`)
    expect([idle.text, idle.headers.get('Content-Type')]).toEqual(['{"jobs":[]}', 'application/json'])
  })
})

describe('5.6.14: the dashboard URL', () => {
  it('may end in slashes', async () => {
    await world.scan()
    const sensor = await aWarmSensor(world, { dashboardUrl: 'https://api.test//' })
    expect(await sensor.pollOnce()).toHaveLength(1)
    await sensor.heartbeat()
    expect(sensor.errors).toEqual([])
  })
})

describe('5.6.15: scannerVersions', () => {
  it('are free text, cut where too long; an engine without a version is not asked for', async () => {
    await world.scan()
    const sensor = await aWarmSensor(world, {
      scannerVersions: {
        trivy: 'Version: 0.69.3',
        grype: 'unknown',
        syft: `Application: syft${'\u0000x'.repeat(5000)}`,
        dockle: 'unknown',
        'a tool of tomorrow': '',
      },
    })
    expect((await sensor.fetchJobs())[0]!.scan!.scanners).toEqual(['trivy', 'syft'])
  })
})

describe('5.6.16: silence after registration', () => {
  it('of up to five minutes leaves the sensor live for dispatch and status', async () => {
    const sensor = await aWarmSensor(world)
    const silent = (minutes: number) =>
      theDirectory().run(
        statement(
          'UPDATE agents SET last_heartbeat_at = ?1, registered_at = ?1 WHERE id = ?2',
          Date.now() - minutes * MINUTE,
          sensor.agentId,
        ),
      )
    const shown = async () =>
      (await world.ours.get(`/api/registries/${world.registryId}/sensor-status`)).body.data.status
    await silent(4)
    expect(await shown()).toBe('online')
    await silent(6)
    expect(await shown()).toBe('offline')
  })
})

describe('5.6.17: replies that are not read', () => {
  it('to heartbeat and status have no body', async () => {
    const { job, sensor } = await aClaim()
    const beat = await post('/api/agent/heartbeat', {
      agentId: sensor.agentId,
      status: 'idle',
      activeScans: 0,
    })
    const reported = await statusOf(job, { status: 'completed' })
    expect([beat.status, beat.text, reported.status, reported.text]).toEqual([204, '', 204, ''])
    expect(beat.headers.get('Content-Type')).toBeNull()
  })

  it('take the key from either header', async () => {
    const body = JSON.stringify({ agentId: 'x', status: 'idle', activeScans: 0 })
    const headers = { ...JSON_HEADERS, 'X-API-Key': world.key }
    const answer = await caller(null).send('POST', '/api/agent/heartbeat', { body, headers })
    expect(answer.status).toBe(204)
  })
})

describe('5.6.18: scanners and activeScans', () => {
  it('names are those asked for, exact and in lower case, and a reply has a job once', async () => {
    await world.scan()
    const jobs = await (await aWarmSensor(world)).fetchJobs()
    expect(jobs).toHaveLength(1)
    expect(jobs[0]!.scan!.scanners).toEqual(['trivy', 'grype', 'syft'])
  })

  it('1 keeps the claim of a scan of minutes; 0 does not keep a claim that the sensor does not know of', async () => {
    const { scanId, sensor } = await aClaim()
    const soon = Date.now() + 5_000
    await world.change('UPDATE jobs SET lease_until = ? WHERE id = ?', soon, scanId)
    await sensor.heartbeat()
    expect((await world.job(scanId)).lease_until).toBe(soon)
    sensor.activeScans = 1
    await sensor.heartbeat()
    expect((await world.job(scanId)).lease_until).toBeGreaterThan(soon + MINUTE)
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

describe('5.6.20: uploads to S3', () => {
  it('delay the result by minutes in which heartbeats keep the claim', async () => {
    const { scanId, sensor, job } = await aClaim()
    sensor.activeScans = 1
    for (let beat = 0; beat < 3; beat++) {
      await world.change('UPDATE jobs SET lease_until = lease_until - 60000 WHERE id = ?', scanId)
      await sensor.heartbeat()
      await world.sweep()
      expect((await world.job(scanId)).state).toBe('leased')
    }
    expect((await sensor.upload(envelopeOf(job)))!.scanId).toBe(scanId)
  })

  it('are announced with s3Configured', async () => {
    const body = { name: 's', version: '0.1.0', capabilities: ['scan'], s3Configured: true }
    expect((await post('/api/agent/register', body)).status).toBe(200)
  })
})
