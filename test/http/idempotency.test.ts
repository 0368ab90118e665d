import { expect, it } from 'vitest'
import { aFakeRegistry } from '../fake-registry.ts'
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
