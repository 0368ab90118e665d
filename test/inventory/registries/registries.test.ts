import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { FAKE_CREDENTIALS } from '../../fake-registry.ts'
import { anOrganization, type Json } from '../../world.ts'

const CUSTOM = { name: 'Ours', provider: 'CUSTOM', url: 'https://registry.example.com/team' }

describe('Registries', () => {
  it('are created with the documented defaults and read back the same', async () => {
    const ours = await anOrganization()
    const made = await ours.post('/api/registries', CUSTOM)
    expect(made.status, made.text).toBe(201)
    expect(made.body.data).toMatchObject({
      ...CUSTOM,
      ...{ scanMethod: 'cloud', scanners: ['trivy', 'grype', 'syft'], schedule: 'daily', insecure: false },
      ...{
        includeTags: null,
        excludeTags: null,
        hasCredentials: false,
        status: 'UNTESTED',
        statusReason: null,
      },
      scanning: { method: 'cloud', scanners: ['trivy', 'grype', 'syft'], schedule: 'daily' },
      ...{ imageCount: 0, lastSyncedAt: null },
    })
    expect(Date.parse(made.body.data.nextRunAt)).toBeGreaterThan(Date.now())
    const { id } = made.body.data
    expect(made.headers.get('Location')).toBe(`/api/registries/${id}`)
    expect((await ours.get(`/api/registries/${id}`)).body.data.id).toBe(id)
    const list = await (await ours.as('viewer')).get('/api/registries')
    expect(list.body.data.map((registry: Json) => registry.id)).toEqual([id])
    expect(list.body.meta.total).toBe(1)
  })

  it('are pages of 50 and less, newest first, by number and by link', async () => {
    const ours = await anOrganization()
    for (const name of ['a', 'b', 'c']) await ours.post('/api/registries', { ...CUSTOM, name })
    const first = await ours.get('/api/registries?limit=2')
    const next = await ours.get(first.body.links.next)
    const names = [...first.body.data, ...next.body.data].map((registry: Json) => registry.name)
    expect(names.sort()).toEqual(['a', 'b', 'c'])
    expect(next.meter.trips).toBeLessThanOrEqual(2)
    expect(await ours.get('/api/registries?limit=201')).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it.each([
    ['no url', { url: undefined }, 'url'],
    ['a provider without an implementation', { provider: 'GHCR' }, 'provider'],
    [
      'credentials of a provider without an implementation',
      { provider: 'AWS_ECR', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } },
      'provider',
    ],
    ['an unknown provider', { provider: 'FTP' }, 'provider'],
    ['on_push', { schedule: 'on_push' }, 'schedule'],
    ['an unknown schedule', { schedule: 'hourly' }, 'schedule'],
    ['an unknown engine', { scanners: ['clamav'] }, 'scanners.0'],
    ['no engine', { scanners: [] }, 'scanners'],
    ['an empty name', { name: ' ' }, 'name'],
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a glob with a slash', { includeTags: 'a/b' }, 'includeTags'],
    ['a user name with a colon', { credentials: { username: 'a:b', password: 'c' } }, 'credentials.username'],
    ['credentials of another form', { credentials: { token: 'x' } }, 'credentials.username'],
    ['http without insecure', { url: 'http://registry.example.com' }, 'url'],
    ['insecure with https and no sensor', { insecure: true }, 'url'],
    ['a user in the address', { url: 'https://user:pass@registry.example.com' }, 'url'],
    ['a metadata address', { url: 'http://169.254.169.254', insecure: true }, 'url'],
    ['a query', { url: 'https://registry.example.com/?a=b' }, 'url'],
  ])('refuse %s with VALIDATION_ERROR', async (_, change, path) => {
    const ours = await anOrganization()
    const answer = await ours.post('/api/registries', { ...CUSTOM, ...change })
    expect(answer).toBeProblem(400, 'VALIDATION_ERROR')
    expect(answer.body.error.issues.map((issue: Json) => issue.path)).toContain(path)
  })

  it('are hidden from other organizations like ids that do not exist', async () => {
    const [ours, theirs] = [await anOrganization(), await anOrganization()]
    const { id } = (await theirs.post('/api/registries', CUSTOM)).body.data
    for (const [method, tail, body] of [
      ['GET', '', undefined],
      ['PUT', '', { name: 'Mine' }],
      ['DELETE', '', undefined],
      ['POST', '/sync', undefined],
      ['GET', '/sensor-status', undefined],
    ] as const) {
      const init = body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }
      const hidden = await ours.send(method, `/api/registries/${id}${tail}`, init)
      const random = await ours.send(method, `/api/registries/reg_00000000000000000000${tail}`, init)
      expect(hidden).toBeProblem(404, 'NOT_FOUND')
      expect(hidden.body).toEqual(random.body)
    }
    expect((await ours.get('/api/registries')).body.data).toEqual([])
    expect((await theirs.get(`/api/registries/${id}`)).body.data.name).toBe('Ours')
  })

  it('admit roles as documented', async () => {
    const ours = await anOrganization()
    const { id } = (await ours.post('/api/registries', CUSTOM)).body.data
    const [viewer, developer] = [await ours.as('viewer'), await ours.as('developer')]
    expect(await developer.post('/api/registries', CUSTOM)).toBeProblem(403, 'FORBIDDEN')
    expect(await developer.put(`/api/registries/${id}`, { name: 'x' })).toBeProblem(403, 'FORBIDDEN')
    expect(await developer.delete(`/api/registries/${id}`)).toBeProblem(403, 'FORBIDDEN')
    expect(await developer.post(`/api/registries/${id}/sync`)).toBeProblem(403, 'FORBIDDEN')
    expect(await viewer.post('/api/registries/test-connection', CUSTOM)).toBeProblem(403, 'FORBIDDEN')
    expect((await viewer.get(`/api/registries/${id}/sensor-status`)).status).toBe(200)
  })

  it('are created once for one Idempotency-Key, and the sensor key is not shown again', async () => {
    const ours = await anOrganization()
    const headers = { 'Idempotency-Key': 'connect-1' }
    const first = await ours.post('/api/registries', { ...CUSTOM, scanMethod: 'sensor' }, headers)
    const again = await ours.post('/api/registries', { ...CUSTOM, scanMethod: 'sensor' }, headers)
    expect(first.body.data.sensorApiKey).toMatch(/^hg_ak_[0-9a-f]{48}$/)
    expect(again.status).toBe(201)
    expect(again.body.data.id).toBe(first.body.data.id)
    expect(again.body.data).not.toHaveProperty('sensorApiKey')
  })

  it('cost at most three round trips to write and two to read', async () => {
    const ours = await anOrganization()
    await ours.get('/api/registries') // the key's first use is remembered once an hour
    const made = await ours.post('/api/registries', { ...CUSTOM, credentials: FAKE_CREDENTIALS })
    const path = `/api/registries/${made.body.data.id}`
    const put = await ours.put(path, { name: 'Renamed' })
    const got = await ours.get(path)
    const gone = await ours.delete(path)
    expect([made, put, gone].map((answer) => answer.meter.trips)).toEqual([3, 3, 3])
    expect(got.meter.trips).toBe(2)
    expect(made.meter.written).toBeLessThanOrEqual(14)
  })

  it('cost as many rows to list as the page has, however many images they have', async () => {
    const ours = await anOrganization()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) {
      ids.push((await ours.post('/api/registries', { ...CUSTOM, name, scanMethod: 'sensor' })).body.data.id)
    }
    const before = await ours.get('/api/registries')
    const images = Array.from({ length: 300 }, (_, i) => [`img_${ids[0]}_${i}`, `r${i}`])
    await ours.db.run(
      statement(
        `INSERT INTO images (id, org, registry_id, repository, name, created_at)
         SELECT value ->> 0, ?2, ?3, value ->> 1, value ->> 1, 1 FROM json_each(?1)`,
        ...[JSON.stringify(images), ours.organization.num, ids[0]!],
      ),
    )
    const after = await ours.get('/api/registries')
    expect(after.body.data.find((registry: Json) => registry.id === ids[0]).imageCount).toBe(300)
    expect(after.meter.read).toBe(before.meter.read)
    expect(after.meter.read).toBeLessThanOrEqual(4 * 3 + 20)
  })
})
