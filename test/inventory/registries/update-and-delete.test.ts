import { describe, expect, it } from 'vitest'
import { FAKE_CREDENTIALS } from '../../fake-registry.ts'
import { anOrganization, caller } from '../../world.ts'

const CUSTOM = { name: 'Ours', provider: 'CUSTOM', url: 'https://registry.example.com/team' }

describe('Changing a registry', () => {
  it('changes what is given and keeps the rest', async () => {
    const ours = await anOrganization()
    const made = await ours.post('/api/registries', { ...CUSTOM, includeTags: 'v*', excludeTags: '*-dev' })
    const path = `/api/registries/${made.body.data.id}`
    const scanning = { schedule: 'weekly', scanners: ['trivy', 'trivy'], excludeTags: null }
    const changed = await ours.put(path, { name: 'New', scanning })
    expect(changed.body.data).toMatchObject({
      name: 'New',
      scanning: {
        method: 'cloud',
        scanners: ['trivy'],
        schedule: 'weekly',
        includeTags: 'v*',
        excludeTags: null,
      },
      url: CUSTOM.url,
    })
    expect((await ours.put(path, { scanning: { schedule: 'manual' } })).body.data.nextRunAt).toBeNull()
    expect(await ours.put(path, { scanning: { schedule: 'on_push' } })).toBeProblem(400, 'VALIDATION_ERROR')
    expect(await ours.put(path, { status: 'ACTIVE' })).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('sends stored credentials to no other address: a changed one needs them again', async () => {
    const ours = await anOrganization()
    const body = { ...CUSTOM, credentials: FAKE_CREDENTIALS }
    const path = `/api/registries/${(await ours.post('/api/registries', body)).body.data.id}`
    for (const change of [
      { url: 'https://elsewhere.example.com/team' },
      { url: 'http://registry.example.com/team', insecure: true },
    ]) {
      const refused = await ours.put(path, change)
      expect(refused).toBeProblem(400, 'VALIDATION_ERROR')
      expect(refused.body.error.issues[0].path).toBe('credentials')
    }
    const moved = await ours.put(path, {
      url: 'https://elsewhere.example.com',
      credentials: FAKE_CREDENTIALS,
    })
    expect(moved.body.data).toMatchObject({ url: 'https://elsewhere.example.com', hasCredentials: true })
    const anonymous = await ours.put(path, { url: 'https://third.example.com', credentials: null })
    expect(anonymous.body.data).toMatchObject({ url: 'https://third.example.com', hasCredentials: false })
  })

  it('keeps credentials that are not mentioned and removes them for null', async () => {
    const ours = await anOrganization()
    const body = { ...CUSTOM, credentials: FAKE_CREDENTIALS }
    const path = `/api/registries/${(await ours.post('/api/registries', body)).body.data.id}`
    expect((await ours.put(path, { name: 'x' })).body.data.hasCredentials).toBe(true)
    expect((await ours.put(path, { credentials: null })).body.data.hasCredentials).toBe(false)
  })

  it('refuses another host once images are known', async () => {
    const ours = await anOrganization()
    const { id } = (await ours.post('/api/registries', CUSTOM)).body.data
    const insert = `INSERT INTO images (id, org, registry_id, repository, name, created_at) VALUES (?, ?, ?, ?, ?, ?)`
    await ours.db.run({
      sql: insert,
      params: [`img_${id}`, ours.organization.num, id, 'team/a', 'x/team/a', 1],
    })
    expect((await ours.get(`/api/registries/${id}`)).body.data.imageCount).toBe(1)
    const url = 'https://elsewhere.example.com'
    expect(await ours.put(`/api/registries/${id}`, { url })).toBeProblem(409, 'CONFLICT')
  })

  it('gives the sensor key when the method becomes sensor, and revokes it when it becomes cloud', async () => {
    const ours = await anOrganization()
    const path = `/api/registries/${(await ours.post('/api/registries', CUSTOM)).body.data.id}`
    const sensor = (await ours.put(path, { scanning: { method: 'sensor' } })).body.data
    expect(sensor.sensorApiKey).toMatch(/^hg_ak_/)
    const known = async () => (await caller(sensor.sensorApiKey).get('/api/registries')).status
    expect(await known()).toBe(403)
    expect((await ours.put(path, { scanning: { method: 'cloud' } })).status).toBe(200)
    expect(await known()).toBe(401)
  })
})

describe('Deleting a registry', () => {
  it('hides it at once, with its credentials and its sensor keys', async () => {
    const ours = await anOrganization()
    const body = { ...CUSTOM, scanMethod: 'sensor', credentials: FAKE_CREDENTIALS }
    const made = (await ours.post('/api/registries', body)).body.data
    const path = `/api/registries/${made.id}`
    expect((await ours.delete(path)).body.data).toEqual({ id: made.id, deleted: true })
    for (const answer of [
      await ours.get(path),
      await ours.put(path, { name: 'x' }),
      await ours.delete(path),
    ]) {
      expect(answer).toBeProblem(404, 'NOT_FOUND')
    }
    expect((await ours.get('/api/registries')).body.data).toEqual([])
    expect((await caller(made.sensorApiKey).get('/api/registries')).status).toBe(401)
  })
})
