import { createHash } from 'node:crypto'
import { type ClientRequest, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { aResult, DAY } from '../risk/results.ts'
import type { Call } from './calls.ts'
import { type Furnished, leased, registration } from './furnish.ts'
import type { Operation } from './operations.ts'

const RANDOM_ID = '00000000000000000000'
const MAX_STREAMS = 100 // as the document says
const TOO_LARGE = 'x'.repeat(91 * 1024 * 1024)
const TOO_LONG = 'x'.repeat(300)

/** Statuses that no client can bring a healthy server to: when they are given, and the test that shows them. */
export const UNREACHABLE: Record<string, { when: string; test: string }> = {
  'getStatus 503': { when: 'a database does not answer', test: 'test/operations/status.test.ts' },
  'createRegistry 503': { when: 'ROOT_KEYS is not set', test: 'test/inventory/registries/secrets.test.ts' },
  'updateRegistry 503': { when: 'ROOT_KEYS is not set', test: 'test/inventory/registries/secrets.test.ts' },
  'pollJobs 503': { when: 'a database does not answer', test: 'test/faults/storage-faults.test.ts' },
  'putBlob 503': { when: 'the same blob is being deleted', test: 'test/scanning/ends.test.ts' },
}

type Note = (operationId: string, status: number) => void

/** Leads a client to every status of the document that it can reach. Replies are noted by `call`. */
export async function reachEverything(
  call: Call,
  origin: string,
  operations: readonly Operation[],
  world: Furnished,
  note: Note,
): Promise<void> {
  for (const operation of operations) await reachRefusals(call, operation, world)
  await readEverything(call, world)
  await changeRegistries(call, world)
  await createTwice(call, world)
  await speakAsRunner(call, world)
  await openTooManyStreams(origin, world, note)
}

const somewhere = ({ path }: Operation, id: string) => path.replace(/\{\w+\}/g, id)
const keyFor = ({ role }: Operation, { adminKey, sensorKey }: Furnished) =>
  role === null ? null : role === 'runner' ? sensorKey : adminKey

/** What access, form and number of requests are refused for; the same for all operations. */
async function reachRefusals(call: Call, operation: Operation, world: Furnished): Promise<void> {
  const { method, statuses } = operation
  const key = keyFor(operation, world)
  const body = method === 'GET' || method === 'DELETE' ? undefined : {}
  const path = somewhere(operation, RANDOM_ID)
  const wrongKey = operation.role === 'runner' ? world.adminKey : world.sensorKey
  if (statuses.includes(401)) await call(method, path, { body })
  if (statuses.includes(403)) await call(method, path, { key: wrongKey, body })
  await call(method, path, { key, body })
  await call(method, `${somewhere(operation, TOO_LONG)}?limit=0&agentId=${TOO_LONG}&fence=x&field=x`, {
    key,
    body,
  })
  if (operation.hasBody) {
    await call(method, path, { key, body: '{' })
    await call(method, path, { key, body: '{}', headers: { 'Content-Type': 'text/plain' } })
    await call(method, path, { key, body: JSON.stringify({ pad: 'x'.repeat(2_000_000) }) })
  }
  for (let more = operation.rateLimit ?? -1; more >= 0; more--)
    await call(method, path, { key, body, address: '192.0.2.1' })
}

async function readEverything(call: Call, world: Furnished): Promise<void> {
  const { adminKey: key, scanId, imageId, tagId, vulnId, registryId } = world
  const read = (path: string, headers = {}) => call('GET', path, { key, headers })
  for (const path of [
    ...['/api/health', '/docs', '/openapi/harborguard-v1.json', '/openapi/harborguard-v1.yaml'],
    ...['/api/api-keys', '/api/registries', '/api/images', '/api/scans', '/api/vulnerabilities'],
    ...[
      `/api/registries/${registryId}`,
      `/api/registries/${registryId}/sensor-status`,
      `/api/images/${imageId}`,
    ],
    ...[`/api/images/${imageId}/vulnerabilities`, `/api/images/${imageId}/tags`],
    ...[
      `/api/images/${imageId}/tags/${tagId}/vulnerabilities`,
      '/api/vulnerabilities/distinct?field=package',
    ],
    ...[`/api/vulnerabilities/${vulnId}`, `/api/vulnerabilities/${vulnId}/images`, `/api/scans/${scanId}`],
    ...[`/api/scans/${scanId}/status`, `/api/scans/${scanId}/vulnerabilities`],
  ])
    await read(path)
  await read(`/api/scans/${RANDOM_ID}/raw/trivy`)
  for (const path of [`/api/scans/${scanId}/raw/trivy`, `/api/scans/${scanId}/sbom`]) {
    const { headers } = await read(path)
    await read(path, { 'If-None-Match': String(headers.etag) })
  }
  const { text } = await read(`/api/scans/${scanId}/events`)
  await read(`/api/scans/${scanId}/events`, { 'Last-Event-ID': /^id: (\S+)$/m.exec(text)?.[1] ?? '' })
}

/** A registry with nothing in it. */
async function anEmptyRegistry() {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"repositories":[]}')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { host, close: () => server.closeAllConnections() ?? server.close() }
}

async function changeRegistries(call: Call, { adminKey: key, registryId }: Furnished): Promise<void> {
  const { host, close } = await anEmptyRegistry()
  const body = { provider: 'CUSTOM', url: host, insecure: true }
  const made = await call('POST', '/api/registries', {
    key,
    body: { ...body, name: 'empty', schedule: 'manual' },
  })
  const cloud = made.body.data.id
  await call('PUT', `/api/registries/${cloud}`, { key, body: { name: 'renamed' } })
  await call('PUT', `/api/registries/${registryId}`, { key, body: { url: 'other.example.com' } })
  await call('POST', `/api/registries/${cloud}/sync`, { key })
  await call('POST', `/api/registries/${registryId}/sync`, { key })
  await call('POST', '/api/registries/test-connection', { key, body })
  await call('POST', '/api/registries/schedule-scans', { key })
  await call('DELETE', `/api/registries/${cloud}`, { key })
  close()
}

/** Each creating operation with an Idempotency-Key, and again with another body. */
async function createTwice(call: Call, { adminKey: key }: Furnished): Promise<void> {
  const twice = async (path: string, body: object, other: object) => {
    const headers = { 'Idempotency-Key': 'twice' }
    const first = await call('POST', path, { key, body, headers })
    await call('POST', path, { key, body: { ...body, ...other }, headers })
    return first.body
  }
  const made = await twice('/api/api-keys', { name: 'twice', role: 'viewer' }, { name: 'other' })
  await call('DELETE', `/api/api-keys/${made.data.id}`, { key })
  const registry = {
    name: 'twice',
    provider: 'CUSTOM',
    url: 'twice.test',
    scanMethod: 'sensor',
    schedule: 'manual',
  }
  await twice('/api/registries', registry, { name: 'other' })
  const asked = await twice(
    '/api/scans',
    { image: 'twice.test/a:1', scanners: ['trivy'] },
    { scanners: ['grype'] },
  )
  await call('DELETE', `/api/scans/${asked.scanId}`, { key })
}

async function speakAsRunner(call: Call, world: Furnished): Promise<void> {
  const { sensorKey: key, agentId, job } = world
  const jobs = [{ id: job.id, fence: job.lease.fence }]
  await call('POST', '/api/agent/register', { key, body: registration() })
  await call('POST', '/api/agent/heartbeat', { key, body: { agentId } })
  await call('POST', '/api/agent/heartbeat', { key, body: { agentId, jobs } })
  await call('GET', `/api/agent/jobs?agentId=${agentId}`, { key })
  const next = (await leased(call, world, 'team/reach:1.0')).job
  const { fence } = next.lease
  const sha256 = createHash('sha256').update('blob').digest('hex')
  const blob = (body: string, lease: number, headers = {}) =>
    call('PUT', `/api/agent/jobs/${next.id}/blobs/${sha256}?fence=${lease}`, { key, body, headers })
  await blob('blob', fence)
  await blob('blob', fence)
  await blob('blob', fence + 1)
  await blob('other', fence)
  await blob('blob', fence, { 'Content-Encoding': 'gzip' })
  await blob(TOO_LARGE, fence)
  const result = (lease: number) =>
    aResult({ packages: 2, findings: 1, jobId: next.id, fence: lease, build: Date.now() - DAY })
  const upload = (body: unknown, headers = {}) => call('POST', '/api/scans/upload', { key, body, headers })
  await upload(result(fence + 1))
  await upload('{"version":"9"}')
  await upload(result(fence), { 'Content-Type': 'text/plain' })
  await upload(TOO_LARGE)
  await upload(result(fence))
  const say = (id: string, lease: number) =>
    call('POST', `/api/agent/jobs/${id}/status`, { key, body: { status: 'completed', fence: lease } })
  await say(next.id, fence)
  await say(next.id, fence + 1)
}

/** One stream more than an organization may have, of a scan that goes on; all are closed again. */
async function openTooManyStreams(origin: string, { adminKey, job }: Furnished, note: Note): Promise<void> {
  const scanId = job.id.split('-').at(-1)
  const open: ClientRequest[] = []
  const status = () =>
    new Promise<number>((resolve, reject) => {
      const headers = { 'X-API-Key': adminKey }
      const stream = get(`${origin}/api/scans/${scanId}/events`, { headers }, (incoming) => {
        resolve(incoming.statusCode!)
        incoming.on('error', () => {}) // destroyed below
      })
      open.push(stream.on('error', reject))
    })
  for (let streams = 0; streams <= MAX_STREAMS; streams++) note('streamScanEvents', await status())
  for (const stream of open) stream.destroy()
}
