import { env } from 'cloudflare:workers'
import { beforeEach, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import { anOrganization, type TestOrganization } from '../world.ts'
import { aHttpRunner, connected, dispatched, poll } from './over-http.ts'
import { emptyPools } from './world.ts'

beforeEach(emptyPools)

const audited = async (ours: TestOrganization): Promise<string[]> => {
  const rows = await (env as unknown as Env).DIRECTORY.prepare(
    `SELECT action, target FROM audit_log WHERE org = ? AND details LIKE '%"registryId":"reg_%' ORDER BY created_at, action`,
  )
    .bind(ours.organization.num)
    .all<{ action: string; target: string }>()
  return rows.results.map(({ action, target }) => `${action} ${target.split('_')[0]}`)
}

it('a waiting job goes to the sensor when its registry does, and back to the cloud', async () => {
  const ours = await anOrganization()
  const { host, id } = await connected(ours)
  const cloud = await aHttpRunner()
  const scanId = await dispatched(ours, `${host}/team/app:1.0`)
  const changed = await ours.put(`/api/registries/${id}`, { scanning: { method: 'sensor' } })
  expect(changed.status, changed.text).toBe(200)
  const sensor = await aHttpRunner(changed.body.data.sensorApiKey)
  expect(await poll(cloud)).toBeUndefined()
  await ours.put(`/api/registries/${id}`, { scanning: { method: 'cloud' } })
  expect((await sensor.get(`/api/agent/jobs?agentId=${sensor.agentId}`)).status).toBe(401)
  expect((await poll(cloud)).id).toContain(scanId)
})

it('a sensor gets what waited for the cloud', async () => {
  const ours = await anOrganization()
  const { host, id } = await connected(ours)
  const scanId = await dispatched(ours, `${host}/team/app:1.0`)
  const changed = await ours.put(`/api/registries/${id}`, { scanning: { method: 'sensor' } })
  const sensor = await aHttpRunner(changed.body.data.sensorApiKey)
  expect((await poll(sensor)).id).toContain(scanId)
})

it('the end of a sensor key is audited once, however it ends', async () => {
  const ours = await anOrganization()
  const { id } = await connected(ours, 'open', { scanMethod: 'sensor' })
  await ours.put(`/api/registries/${id}`, { scanning: { method: 'cloud' } })
  await ours.put(`/api/registries/${id}`, { scanning: { method: 'sensor' } })
  await ours.delete(`/api/registries/${id}`)
  const actions = await audited(ours)
  expect(actions.filter((action) => action === 'apikey.created api')).toHaveLength(2)
  expect(actions.filter((action) => action === 'apikey.revoked api')).toHaveLength(2)
})
