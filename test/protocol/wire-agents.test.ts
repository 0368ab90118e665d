import { beforeEach, describe, expect, it } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { emptyPools } from '../scanning/world.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, theDirectory } from './sensor-world.ts'
import { envelopeOf, MINUTE, WIRE_ID, wireCalls } from './wire-calls.ts'

/** Section 5.6 of the product's facts, as far as the server can be held to it: paths, ids, polls and agents. */

let world: SensorWorld
const { post, statusOf, scanOf, aClaim } = wireCalls(() => world)

beforeEach(async () => {
  await emptyPools()
  world = await aSensorWorld()
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
