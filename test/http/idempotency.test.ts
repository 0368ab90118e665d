import { expect, it } from 'vitest'
import { aFakeRegistry } from '../fake-registry.ts'
import { connected } from '../scanning/over-http.ts'
import { anOrganization } from '../world.ts'

const KEY = { 'Idempotency-Key': 'k' }

it('answers a repeated request for what was deleted meanwhile with a conflict, and creates nothing', async () => {
  const ours = await anOrganization()
  const { host } = await aFakeRegistry('open')
  const asked = {
    '/api/api-keys': { name: 'a', role: 'viewer' },
    '/api/registries': { name: 'r', provider: 'CUSTOM', url: host, insecure: true, schedule: 'manual' },
  }
  for (const [path, body] of Object.entries(asked)) {
    const made = await ours.post(path, body, KEY)
    expect(made.status, made.text).toBe(201)
    const count = (await ours.get(path)).body.meta.total
    await ours.delete(`${path}/${made.body.data.id}`)
    expect(await ours.post(path, body, KEY)).toBeProblem(409, 'CONFLICT')
    expect((await ours.get(path)).body.meta.total).toBe(count - 1)
  }
})

it('answers a repeated request as the first one, also where the verb would refuse it by now', async () => {
  const ours = await anOrganization()
  const { host, id } = await connected(ours)
  const headers = { 'Idempotency-Key': 'once' }
  const body = { image: `${host}/team/app:1.0`, scanners: ['trivy'] }
  const first = await ours.post('/api/scans', body, headers)
  expect((await ours.delete(`/api/registries/${id}`)).status).toBe(200)
  expect(await ours.post('/api/scans', body)).toBeProblem(400, 'VALIDATION_ERROR')
  const again = await ours.post('/api/scans', body, headers)
  expect([again.status, again.body]).toEqual([202, first.body])
  expect(again.headers.get('Idempotency-Replayed')).toBe('true')
  const other = { ...body, image: `${host}/team/app:1.1` }
  expect(await ours.post('/api/scans', other, headers)).toBeProblem(409, 'CONFLICT')
})

it("a repeated request for a sensor's registry makes no second key", async () => {
  const ours = await anOrganization()
  const headers = { 'Idempotency-Key': 'once' }
  const body = { name: 's', provider: 'CUSTOM', url: 's.example', scanMethod: 'sensor' }
  const first = await ours.post('/api/registries', body, headers)
  expect(first.body.data.sensorApiKey).toMatch(/^hg_ak_/)
  const again = await ours.post('/api/registries', body, headers)
  expect([again.status, again.body.data.id, again.meter.written]).toEqual([201, first.body.data.id, 0])
  expect(again.text).not.toContain('hg_ak_')
})
