import { beforeEach, expect, it } from 'vitest'
import { readPage } from '../../src/http/pages.ts'
import { FINDING_LIST, listFindings } from '../../src/risk/findings/index.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { findingsOfScan, readScan } from '../../src/scanning/scans/read.ts'
import { type Answer, anOrganization } from '../world.ts'
import { aCompleteScan, aHttpRunner, ask, connected, dispatched } from './over-http.ts'
import { aRunner, aScan, aWorld, complete, emptyPools, HOUR, MINUTE, resultFor, T0, upload } from './world.ts'

beforeEach(emptyPools)

it('a scan is read in two round trips and few rows, one that follows another too', async () => {
  const ours = await anOrganization()
  const { host } = await connected(ours)
  const { scanId } = await aCompleteScan(ours, await aHttpRunner(), `${host}/team/app:1.0`)
  const waiting = await dispatched(ours, `${host}/team/app:1.1`)
  const follower = await dispatched(ours, `${host}/team/app:1.1`)
  for (const id of [scanId, waiting, follower]) {
    for (const end of ['', '/status', '/sbom', '/raw/trivy', '/vulnerabilities?limit=5']) {
      const { meter, status } = await ours.get(`/api/scans/${id}${end}`)
      expect([id, end, status < 500, meter.trips]).toEqual([id, end, true, 2])
      expect(meter.read).toBeLessThanOrEqual(end.startsWith('/v') ? 4 * 40 + 20 : 10)
      expect(meter.written).toBe(0)
    }
  }
})

it('writes take three round trips: the credential, the state, one batch', async () => {
  const ours = await anOrganization()
  const { host, id } = await connected(ours, 'open', { schedule: 'daily' })
  const runner = await aHttpRunner()
  const { scanId } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
  const cancelled = await dispatched(ours, `${host}/team/app:1.1`)
  const key = await ours.post('/api/api-keys', { name: 'k' })
  const newKey = await ours.as('admin')
  const once = () => ({ 'Idempotency-Key': crypto.randomUUID() })
  const registry = {
    name: 'r',
    provider: 'CUSTOM',
    url: 'r.example',
    credentials: { username: 'u', password: 'p' },
  }
  const writes: Record<string, Answer> = {
    'POST scan': await ask(ours, `${host}/team/app:latest`),
    'POST scan with a new credential': await ask(newKey, `${host}/team/app:1.1`),
    'POST scan once': await ours.post(
      '/api/scans',
      { image: `${host}/team/app:1.0`, scanners: ['trivy'] },
      once(),
    ),
    'POST key once': await ours.post('/api/api-keys', { name: 'k' }, once()),
    'POST registry once': await ours.post('/api/registries', registry, once()),
    'POST registry of a sensor': await ours.post('/api/registries', {
      ...{ name: 's', provider: 'CUSTOM', url: 's.example', scanMethod: 'sensor' },
    }),
    'DELETE running scan': await ours.delete(`/api/scans/${cancelled}`),
    'DELETE ended scan': await ours.delete(`/api/scans/${scanId}`),
    'POST key': key,
    'DELETE key': await ours.delete(`/api/api-keys/${key.body.data.id}`),
    'POST sync': await ours.post(`/api/registries/${id}/sync`),
    'POST schedule-scans': await ours.post('/api/registries/schedule-scans'),
  }
  for (const [name, { meter, status, text }] of Object.entries(writes)) {
    expect([name, status < 300], text).toEqual([name, true])
    const deferred = name === 'DELETE ended scan' ? 1 : 0 // its blobs' deletion begins while the reply is printed
    expect([name, meter.trips - deferred <= 3, meter.trips]).toEqual([name, true, meter.trips])
  }
})

it("a scan's counts are those of its own moment, its findings are the artifact's of now", async () => {
  const world = await aWorld()
  const runner = await aRunner()
  const first = await aScan(world)
  await complete(world, runner, (await runner.poll())!, { packages: 12, findings: 9 })
  const at = T0 + HOUR
  const second = await aScan(world, { at })
  const again = await aRunner({ at })
  await upload(again, resultFor((await again.poll(at))!, { packages: 12, findings: 4 }), at)
  await ingestScan(world.at(at + MINUTE), second)
  const ctx = world.at(at + MINUTE)
  const sum = async (scanId: string) =>
    Object.values((await readScan(ctx, scanId)).counts!).reduce((total, count) => total + count, 0)
  expect([await sum(first), await sum(second)]).toEqual([9, 4])
  for (const scanId of [first, second]) {
    const url = `https://api.test/api/scans/${scanId}/vulnerabilities`
    const page = await listFindings(ctx, findingsOfScan(ctx, scanId), readPage(FINDING_LIST, url))
    expect(page.meta.total).toBe(4)
  }
})
