import { beforeEach, describe, expect, it } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { emptyPools } from '../scanning/world.ts'
import { caller } from '../world.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, theDirectory } from './sensor-world.ts'
import { envelopeOf, JSON_HEADERS, MINUTE, wireCalls } from './wire-calls.ts'

/** Section 5.6: what sensors register, when they are silent, and replies that they do not read. */

let world: SensorWorld
const { post, statusOf, aClaim } = wireCalls(() => world)

beforeEach(async () => {
  await emptyPools()
  world = await aSensorWorld()
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

describe('What a sensor asks all day', () => {
  it('costs two round trips and few rows: a poll, idle or again, and a heartbeat while it scans', async () => {
    const sensor = await aWarmSensor(world)
    const poll = () => world.wire.get(`/api/agent/jobs?agentId=${sensor.agentId}`)
    const beat = (activeScans: number) =>
      post('/api/agent/heartbeat', { agentId: sensor.agentId, status: 'scanning', activeScans })
    await beat(0) // remembers that the agent lives
    const idle = { poll: await poll(), beat: await beat(0) }
    await world.scan()
    const busy = { claim: await poll(), again: await poll(), beat: await beat(1) }
    expect(busy.claim.body.jobs).toHaveLength(1)
    for (const [name, { meter }] of Object.entries({ ...idle, ...busy })) {
      expect([name, meter.trips <= 2, meter.read <= 30, meter.written <= 12, meter]).toEqual([
        ...[name, true, true, true],
        meter,
      ])
    }
    expect([idle.beat.meter.trips, idle.beat.meter.written, busy.beat.meter.written]).toEqual([1, 0, 0])
  })
})
