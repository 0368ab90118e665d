import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Env } from '../../src/env.ts'
import { type Answer, anOrganization, type Caller, theOperator } from '../world.ts'
import { deliver } from './deliver.ts'
import { aCompleteScan, aHttpRunner, connected, dispatched, poll } from './over-http.ts'
import { emptyPools } from './world.ts'

const PASSWORD = 'canary-81c2-never-to-be-seen'
const CREDENTIALS = { username: 'canary-user-81c2', password: PASSWORD }

const lines: string[] = []
beforeEach(async () => {
  await emptyPools()
  lines.length = 0
  for (const level of ['log', 'info', 'warn', 'error', 'debug'] as const)
    vi.spyOn(console, level).mockImplementation((...said) => void lines.push(said.map(String).join(' ')))
})
afterEach(() => void vi.restoreAllMocks())

/** Every row of every table, and every object of the bucket, as text. */
async function everythingStored(): Promise<string[]> {
  const bindings = env as unknown as Env
  const texts: string[] = []
  for (const database of [bindings.DIRECTORY, bindings.SHARD_00!, bindings.SHARD_01!]) {
    const tables = await database
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'`)
      .all<{ name: string }>()
    for (const { name } of tables.results)
      texts.push(JSON.stringify((await database.prepare(`SELECT * FROM "${name}"`).all()).results))
  }
  for (const { key } of (await bindings.ARTIFACTS.list()).objects)
    texts.push(await (await bindings.ARTIFACTS.get(key))!.text())
  return texts
}

/** A client whose replies are kept. */
const watched = (client: Caller, seen: Answer[]): Caller => {
  const keep =
    <Args extends unknown[]>(call: (...args: Args) => Promise<Answer>) =>
    async (...args: Args) => {
      const answer = await call(...args)
      seen.push(answer)
      return answer
    }
  return {
    get: keep(client.get),
    post: keep(client.post),
    put: keep(client.put),
    delete: keep(client.delete),
    send: keep(client.send),
  }
}

it('credentials of a registry and keys are in no reply, log line, row or object on the way of a scan', async () => {
  const made = await anOrganization()
  const seen: Answer[] = []
  const ours = { ...made, ...watched(made, seen) }
  const runnerKey = (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key as string
  const { host, id } = await connected(made, 'open', { credentials: CREDENTIALS })
  const registered = await aHttpRunner(runnerKey)
  const runner = { ...registered, ...watched(registered, seen) }
  const { scanId } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
  const paths = ['', '/status', '/vulnerabilities', '/sbom', '/raw/trivy'].map((end) => `${scanId}${end}`)
  for (const path of paths) await ours.get(`/api/scans/${path}`)

  const failing = await dispatched(ours, `${host}/team/app:1.1`)
  const job = await poll(runner)
  await runner.post(`/api/agent/jobs/${job.id}/status`, { status: 'failed', fence: job.lease.fence })
  const missing = (await ours.post('/api/scans', { image: `${host}/team/app:no`, scanners: ['trivy'] })).body
  await deliver({ kind: 'scan.dispatch', org: made.organization.num, scanId: missing.scanId })
  for (const scan of [failing, missing.scanId]) await ours.get(`/api/scans/${scan}`)
  const sensorKey = (await made.put(`/api/registries/${id}`, { scanning: { method: 'sensor' } })).body.data
    .sensorApiKey as string
  for (const path of ['/api/registries', '/api/api-keys', '/api/scans', '/api/images']) await ours.get(path)
  const before = await everythingStored()
  await ours.delete(`/api/registries/${id}`)
  await deliver({ kind: 'registry.delete', org: made.organization.num, registryId: id })

  expect(seen.length).toBeGreaterThan(15)
  for (const event of ['request', 'message'])
    expect(lines.filter((line) => line.includes(`"event":"${event}"`)).length, event).toBeGreaterThan(3)
  const sealed = job.credentials as string
  expect(sealed.split('.')).toHaveLength(5)
  expect(lines.filter((line) => line.includes(sealed.slice(-40)))).toEqual([])
  const secrets = [PASSWORD, CREDENTIALS.username, btoa(PASSWORD), made.adminKey, runnerKey, sensorKey]
  const texts = [
    ...seen.flatMap(({ text, headers }) => [text, JSON.stringify([...headers])]),
    ...lines,
    ...before,
    ...(await everythingStored()),
  ]
  for (const secret of secrets) {
    const leaks = texts.filter((text) => text.includes(secret)).map((text) => text.slice(0, 200))
    expect(leaks, secret).toEqual([])
  }
})
