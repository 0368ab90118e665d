import { generateKeyPairSync } from 'node:crypto'
import { Agent } from 'node:http'
import { CAPABILITIES, type Job, PROTOCOL_VERSION } from '../../src/scanning/sensors/protocol.ts'
import type { Result } from '../../src/scanning/sensors/result.ts'
import { type Answer, send } from './http.ts'
import { API_HOST, type BenchServer } from './server.ts'

const REGISTRY = 'registry.bench.example'
const ENGINES = ['trivy', 'grype', 'syft']
const POLL_MS = 10 // between two looks at a scan: the resolution of "readable"
const GIVE_UP_MS = 120_000 // the lease's length: a scan that takes longer ends the run

/** An organization with one registry whose images its sensor scans: the Worker calls nobody. */
export interface Tenant {
  /** Throws unless the answer is 2xx. */
  get(path: string): Promise<Answer>
  apiKey: string
  /** Number of the organization and binding of its shard. */
  num: number
  shard: string
  /** Asks for scans of these repositories' tag 1.0, by name; one repository may be asked for several times. */
  requestScans(repositories: readonly string[]): Promise<void>
  /** The next job, once there is one. */
  claim(): Promise<ClaimedJob>
  /** Uploads a result for a claimed job and returns once its findings can be read. */
  deliver(job: ClaimedJob, result: Result): Promise<Delivery>
}

export interface ClaimedJob {
  repository: string
  job: Job
}

export interface Delivery {
  scanId: string
  /** Milliseconds from the first byte sent until the upload was answered, and until the scan was COMPLETE. */
  answeredMs: number
  readableMs: number
  uploadBytes: number
}

type Send = (method: string, path: string, key: string, body?: unknown) => Promise<Answer>

export async function aTenant(server: BenchServer): Promise<Tenant> {
  const http = new Agent({ keepAlive: true, maxSockets: 10 })
  const call = caller(server, http)
  const { id, apiKey } = json(
    await call('POST', '/operator/organizations', server.operatorToken, {
      name: 'Bench',
      slug: 'bench',
      owner: { email: 'bench@example.com', name: 'Bench' },
    }),
  ).data
  const key: string = apiKey.key
  const { sensorApiKey } = json(
    await call('POST', '/api/registries', key, {
      ...{ name: 'Bench', provider: 'CUSTOM', url: REGISTRY, scanMethod: 'sensor', schedule: 'manual' },
    }),
  ).data
  const agentId = await register(call, sensorApiKey)
  const placed = await (await server.database('DIRECTORY'))
    .prepare('SELECT num, shard FROM organizations WHERE id = ?')
    .bind(id)
    .first<{ num: number; shard: string }>()
  return {
    apiKey: key,
    num: placed!.num,
    shard: `SHARD_${placed!.shard.toUpperCase()}`,
    get: (path) => call('GET', path, key),
    requestScans: async (repositories) => {
      const ask = (repository: string) =>
        call('POST', '/api/scans', key, { image: `${REGISTRY}/${repository}:1.0`, scanners: ENGINES })
      await Promise.all(repositories.map(ask))
    },
    claim: () => claim(call, sensorApiKey, agentId),
    deliver: (claimed, result) => deliver(call, { key, sensorApiKey }, claimed, result),
  }
}

/** Each call has a client address of its own: rate limits are not what is measured. */
function caller(server: BenchServer, http: Agent): Send {
  let calls = 0
  return async (method, path, key, body) => {
    const number = calls++
    const answer = await send(
      server.origin,
      {
        ...{ host: API_HOST, method, path },
        headers: {
          Authorization: `Bearer ${key}`,
          'CF-Connecting-IP': `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      },
      http,
    )
    if (answer.status >= 300)
      throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 500)}`)
    return answer
  }
}

// biome-ignore lint/suspicious/noExplicitAny: replies are read without their schemas
const json = (answer: Answer): any => JSON.parse(answer.text)

async function register(call: Send, sensorKey: string): Promise<string> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  const answer = await call('POST', '/api/agent/register', sensorKey, {
    ...{ name: 'bench', version: '1.0.0', hostname: 'bench', os: 'linux', arch: 'amd64' },
    scannerVersions: Object.fromEntries(ENGINES.map((engine) => [engine, '1.0.0'])),
    capabilities: CAPABILITIES,
    protocolVersion: PROTOCOL_VERSION,
    publicKey: { kty, crv, x, y },
  })
  return json(answer).agentId
}

async function claim(call: Send, sensorKey: string, agentId: string): Promise<ClaimedJob> {
  const path = `/api/agent/jobs?agentId=${encodeURIComponent(agentId)}`
  return until('a job to claim', async () => {
    const [job] = json(await call('GET', path, sensorKey)).jobs as Job[]
    if (!job) return null
    return { job, repository: job.scan.imageRef.slice(REGISTRY.length + 1).split(':')[0]! }
  })
}

async function deliver(
  call: Send,
  keys: { key: string; sensorApiKey: string },
  { job }: ClaimedJob,
  result: Result,
): Promise<Delivery> {
  const envelope = { ...result, fence: job.lease.fence, scan: { ...result.scan, id: job.id } }
  const body = JSON.stringify(envelope)
  const started = performance.now()
  const { scanId } = json(await call('POST', '/api/scans/upload', keys.sensorApiKey, body))
  const answeredMs = performance.now() - started
  await until(`scan ${scanId}`, async () => {
    const { data: scan } = json(await call('GET', `/api/scans/${scanId}/status`, keys.key))
    if (scan.status === 'FAILED') throw new Error(`the scan failed: ${JSON.stringify(scan)}`)
    return scan.status === 'COMPLETE' ? scan : null
  })
  const readableMs = performance.now() - started
  return { scanId, answeredMs, readableMs, uploadBytes: Buffer.byteLength(body) }
}

/** Looks until there is something. Throws when there is nothing for two minutes. */
export async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + GIVE_UP_MS
  while (performance.now() < deadline) {
    const found = await look()
    if (found !== null) return found
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`waited in vain for ${what}`)
}
