import { beforeEach, describe, expect, it } from 'vitest'
import { emptyPools } from '../scanning/world.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, twoEngines } from './sensor-world.ts'

describe('The Go sensor', () => {
  let world: SensorWorld

  beforeEach(async () => {
    await emptyPools()
    world = await aSensorWorld()
  })

  it('scans from registration to completed, with five calls and no error', async () => {
    const scanId = await world.scan()
    const sensor = await aWarmSensor(world)
    const ran = await sensor.pollOnce()
    await sensor.heartbeat()
    expect(sensor.errors).toEqual([])
    expect(sensor.calls).toEqual([
      'POST /api/agent/register 200',
      'GET /api/agent/jobs 200',
      'POST /api/scans/upload 200',
      `POST /api/agent/jobs/${ran[0]}/status 204`,
      'POST /api/agent/heartbeat 204',
    ])
    expect((await world.job(scanId)).unfenced).toBe(1)
    const scan = await world.ended(scanId)
    expect(scan).toMatchObject({ status: 'COMPLETE', partial: false, reason: null })
    expect(scan.counts).toEqual({ critical: 1, high: 0, medium: 1, low: 0, unknown: 1 })
    const findings = (await world.ours.get(`/api/scans/${scanId}/vulnerabilities`)).body.data
    expect(findings.map((one: { cveId: string }) => one.cveId).sort()).toEqual([
      'CVE-2024-0001',
      'CVE-2024-0002',
      'GHSA-aaaa-bbbb-cccc',
    ])
    expect(await sensor.pollOnce()).toEqual([])
    expect((await world.ended(scanId)).counts).toEqual(scan.counts)
  })

  it('works through several jobs one after another, one a poll', async () => {
    const scans = [
      await world.scan('team/app:1.0'),
      await world.scan('team/app:1.1'),
      await world.scan('team/app:2'),
    ]
    const sensor = await aWarmSensor(world)
    const ran = [
      await sensor.pollOnce(),
      await sensor.pollOnce(),
      await sensor.pollOnce(),
      await sensor.pollOnce(),
    ]
    expect(ran.map((ids) => ids.length)).toEqual([1, 1, 1, 0])
    expect(new Set(ran.flat()).size).toBe(3)
    for (const scanId of scans) expect((await world.ended(scanId)).status).toBe('COMPLETE')
    expect(sensor.errors).toEqual([])
  })

  it('scans with a dashboard URL that ends in a slash', async () => {
    await world.scan()
    const sensor = await aWarmSensor(world, { dashboardUrl: 'https://api.test/' })
    expect(await sensor.pollOnce()).toHaveLength(1)
    expect(sensor.errors).toEqual([])
  })

  it('is the same agent when its host starts it again, and another one on another host', async () => {
    const [first, again] = [await aWarmSensor(world), await aWarmSensor(world)]
    const other = await aWarmSensor(world, { hostname: 'sensor-2' })
    expect(again.agentId).toBe(first.agentId)
    expect(other.agentId).not.toBe(first.agentId)
  })

  it('has one job at one time however many of it poll a registry', async () => {
    const scans = await Promise.all(
      ['team/app:1.0', 'team/app:1.1', 'team/app:2'].map((image) => world.scan(image)),
    )
    const sensors = await Promise.all([1, 2, 3, 4].map((n) => aWarmSensor(world, { hostname: `host-${n}` })))
    const polled = await Promise.all(sensors.map((sensor) => sensor.fetchJobs()))
    const ids = polled.flat().map(({ id }) => id)
    expect(polled.every((jobs) => jobs.length <= 1)).toBe(true)
    expect(new Set(ids).size).toBe(3)
    expect(ids).toHaveLength(scans.length)
  })

  it('serves every registry of its organization that sensors scan with an API key of role ci', async () => {
    const key = (await world.ours.post('/api/api-keys', { name: 'sensor', role: 'ci' })).body.data.key
    await world.scan()
    const sensor = await aWarmSensor(world, { key })
    expect(await sensor.pollOnce()).toHaveLength(1)
    const other = await aSensorWorld()
    await other.scan()
    expect(await sensor.pollOnce()).toEqual([])
    expect(sensor.errors).toEqual([])
  })

  it('gets no job of the cloud and none with credentials', async () => {
    const scanId = await world.scan()
    const job = (await (await aWarmSensor(world)).fetchJobs())[0]!
    expect(job.id).toContain(scanId)
    const polled = await world.wire.get('/api/agent/jobs?agentId=x')
    expect(polled.text).not.toContain('redential')
  })

  it('whose engines failed in part gives a partial scan, and one without any a failed one', async () => {
    let runs = twoEngines.map((run, index) => ({ ...run, failed: index === 1 }))
    const sensor = await aWarmSensor(world, { engines: () => runs })
    const first = await world.scan()
    await sensor.pollOnce()
    expect(await world.ended(first)).toMatchObject({ status: 'COMPLETE', partial: true })
    runs = runs.map((run) => ({ ...run, failed: true }))
    const second = await world.scan()
    await sensor.pollOnce()
    expect(await world.ended(second)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'all_engines_failed' },
    })
    expect(sensor.errors).toEqual([])
  })
})
