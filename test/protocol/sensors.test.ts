import { beforeEach, describe, expect, it, vi } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { aHttpRunner, poll } from '../scanning/over-http.ts'
import { emptyPools } from '../scanning/world.ts'
import { aSensorWorld, aWarmSensor, type SensorWorld, theDirectory } from './sensor-world.ts'

const silent = (sensorId: string) =>
  theDirectory().run(
    statement('UPDATE agents SET last_heartbeat_at = 1, registered_at = 1 WHERE id = ?', sensorId),
  )

describe('Sensors', () => {
  let world: SensorWorld

  beforeEach(async () => {
    await emptyPools()
    world = await aSensorWorld()
  })

  const get = async (sensorId: string) => (await world.ours.get(`/api/sensors/${sensorId}`)).body.data

  it('are shown with what they registered and what they work on', async () => {
    const scanId = await world.scan()
    const sensor = await aWarmSensor(world)
    expect(await get(sensor.agentId)).toMatchObject({
      ...{
        id: sensor.agentId,
        name: 'sensor-1',
        hostname: 'sensor-1',
        platform: 'linux/amd64',
        version: '0.1.0',
      },
      ...{ protocolVersion: null, capabilities: ['scan'], engines: { trivy: 'Version: 0.69.3' }, labels: [] },
      ...{
        concurrency: 1,
        registryId: world.registryId,
        state: 'online',
        currentJob: null,
        disabledAt: null,
      },
    })
    const [job] = await sensor.fetchJobs()
    expect(await get(sensor.agentId)).toMatchObject({
      ...{ state: 'scanning', currentJob: { scanId }, currentScanIds: [scanId] },
    })
    await silent(sensor.agentId)
    expect((await get(sensor.agentId)).state).toBe('offline')
    expect(job).toBeDefined()
  })

  it('are listed by name and registration, searched and by registry, with a cursor', async () => {
    for (const hostname of ['alpha', 'beta', 'gamma']) await aWarmSensor(world, { hostname })
    const names = async (query: string) =>
      (await world.ours.get(`/api/sensors?${query}`)).body.data.map((one: { name: string }) => one.name)
    expect(await names('')).toEqual(['alpha', 'beta', 'gamma'])
    expect(await names('sort=name:desc')).toEqual(['gamma', 'beta', 'alpha'])
    expect(await names('sort=registeredAt:asc')).toEqual(['alpha', 'beta', 'gamma'])
    expect(await names('search=ET')).toEqual(['beta'])
    expect(await names(`registryId=${world.registryId}`)).toHaveLength(3)
    expect(await names('registryId=reg_0')).toEqual([])
    const page = (await world.ours.get('/api/sensors?limit=2')).body
    expect(page.meta).toMatchObject({ total: 3, hasNext: true })
    const next = (await world.ours.get(page.links.next)).body
    expect(next.data.map((one: { name: string }) => one.name)).toEqual(['gamma'])
  })

  it('read few rows a page, at ten times the sensors', async () => {
    const insert = (from: number, to: number) =>
      theDirectory().run(
        statement(
          `INSERT INTO agents (id, credential_id, identity, org, registry_id, name, version, hostname, platform,
             protocol_version, capabilities, scanner_versions, registered_at, last_heartbeat_at)
           SELECT 'agt_' || value || '_' || ?1, 'c', value || '-' || ?1, ?1, ?2, 'n' || value, '', '', '', 0, '[]', '{}', value, value
             FROM (WITH RECURSIVE n(value) AS (SELECT ?3 UNION ALL SELECT value + 1 FROM n WHERE value < ?4) SELECT value FROM n)`,
          world.ours.organization.num,
          world.registryId,
          from,
          to,
        ),
      )
    for (const [from, to] of [
      [1, 100],
      [101, 1000],
    ] as const) {
      await insert(from, to)
      for (const sort of ['name:asc', 'registeredAt:desc']) {
        const first = await world.ours.get(`/api/sensors?limit=20&sort=${sort}`)
        const second = await world.ours.get(first.body.links.next)
        expect(first.body.meta.total).toBe(to)
        expect(first.meter.read - to).toBeLessThanOrEqual(4 * 20 + 20)
        expect(second.meter.read).toBeLessThanOrEqual(4 * 20 + 20)
        expect([first.meter.trips, second.meter.trips]).toEqual([3, 3])
      }
    }
  })

  it('that are disabled get no jobs, may finish, and stay disabled when they register again', async () => {
    const scanId = await world.scan()
    await world.scan('team/app:1.1')
    const sensor = await aWarmSensor(world)
    const [job] = await sensor.fetchJobs()
    const path = `/api/sensors/${sensor.agentId}`
    expect((await world.ours.post(`${path}/disable`)).body.data.state).toBe('disabled')
    await sensor.run(job!)
    expect((await world.job(scanId)).result_key).not.toBeNull()
    expect(await sensor.pollOnce()).toEqual([])
    await sensor.register()
    expect(await sensor.pollOnce()).toEqual([])
    expect((await world.ours.post(`${path}/disable`)).body.data.state).toBe('disabled')
    const status = `/api/registries/${world.registryId}/sensor-status`
    expect((await world.ours.get(status)).body.data.status).toBe('disabled')
    expect((await world.ours.post(`${path}/enable`)).body.data).toMatchObject({
      state: 'online',
      disabledAt: null,
    })
    expect(await sensor.pollOnce()).toHaveLength(1)
    expect(sensor.errors).toEqual([])
  })

  it('that know leases and are disabled get no jobs either', async () => {
    await world.scan()
    const runner = await aHttpRunner(world.key)
    await world.ours.post(`/api/sensors/${runner.agentId}/disable`)
    expect(await poll(runner)).toBeUndefined()
    await world.ours.post(`/api/sensors/${runner.agentId}/enable`)
    expect(await poll(runner)).toBeDefined()
  })

  it('that are removed are gone from the list, and there again when they call', async () => {
    await world.scan()
    const sensor = await aWarmSensor(world)
    const path = `/api/sensors/${sensor.agentId}`
    expect((await world.ours.delete(path)).body.data).toEqual({ id: sensor.agentId, deleted: true })
    expect(await world.ours.get(path)).toBeProblem(404, 'NOT_FOUND')
    expect(await world.ours.delete(path)).toBeProblem(404, 'NOT_FOUND')
    expect(await world.ours.post(`${path}/disable`)).toBeProblem(404, 'NOT_FOUND')
    expect((await world.ours.get('/api/sensors')).body.meta.total).toBe(0)
    expect(await sensor.pollOnce()).toHaveLength(1)
    expect((await get(sensor.agentId)).state).toBe('online')
    await world.ours.delete(path)
    await theDirectory().run(
      statement('UPDATE agents SET last_heartbeat_at = 1 WHERE id = ?', sensor.agentId),
    )
    const again = await aWarmSensor(world)
    expect(again.agentId).toBe(sensor.agentId)
    expect((await get(sensor.agentId)).state).toBe('online')
  })

  it('that know leases and are removed are told to register again', async () => {
    const runner = await aHttpRunner(world.key)
    await world.ours.delete(`/api/sensors/${runner.agentId}`)
    const answer = await runner.get(`/api/agent/jobs?agentId=${runner.agentId}`)
    expect([answer.status, answer.body.code]).toEqual([404, 'unknown_agent'])
  })

  it('are changed by admins alone, and each change leaves one audit row', async () => {
    const { agentId } = await aWarmSensor(world)
    const path = `/api/sensors/${agentId}`
    const developer = await world.ours.as('developer')
    expect((await developer.get(path)).status).toBe(200)
    expect(await developer.post(`${path}/disable`)).toBeProblem(403, 'FORBIDDEN')
    expect(await developer.delete(path)).toBeProblem(403, 'FORBIDDEN')
    for (const end of ['/disable', '/disable', '/enable', '/enable']) await world.ours.post(path + end)
    await world.ours.delete(path)
    const rows = await theDirectory().all<{ action: string; target: string }>(
      statement(
        `SELECT action, target FROM audit_log WHERE org = ? AND action LIKE 'sensor.%' ORDER BY created_at, action`,
        world.ours.organization.num,
      ),
    )
    expect(rows.map(({ action }) => action).sort()).toEqual([
      'sensor.disabled',
      'sensor.enabled',
      'sensor.removed',
    ])
    expect(new Set(rows.map(({ target }) => target))).toEqual(new Set([`sensor:${agentId}`]))
  })

  it("of another organization are not found, and neither are the cloud's runners", async () => {
    const theirs = await aSensorWorld()
    const { agentId } = await aWarmSensor(theirs)
    const runner = await aHttpRunner()
    for (const id of [agentId, runner.agentId]) {
      expect(await world.ours.get(`/api/sensors/${id}`)).toBeProblem(404, 'NOT_FOUND')
      expect(await world.ours.delete(`/api/sensors/${id}`)).toBeProblem(404, 'NOT_FOUND')
    }
    expect((await world.ours.get('/api/sensors')).body.data).toEqual([])
  })

  it('that nobody registered are there once they were heard of', async () => {
    await world.wire.post('/api/agent/heartbeat', { agentId: 'left-over', status: 'idle', activeScans: 0 })
    await vi.waitFor(async () => expect((await get('left-over'))?.state).toBe('online'), 10_000)
  })
})
