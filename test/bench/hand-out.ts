import { createHash, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { Agent, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, loadavg } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CAPABILITIES, type Job, PROTOCOL_VERSION } from '../../src/scanning/sensors/protocol.ts'
import { send } from './http.ts'
import { API_HOST, type BenchServer, startServer } from './server.ts'
import { percentile } from './statistics.ts'

// From the request of a scan until a runner that waits has its job, run alone: node test/bench/hand-out.ts

const SCANS = 30
const WAIT_SECONDS = 25
const IN_LINE_MS = 150 // a poll is in the line by then

type Send = (method: string, path: string, key: string, body?: unknown) => ReturnType<typeof JSON.parse>

/** Each call has a client address of its own: rate limits are not what is measured. */
function caller(server: BenchServer, http: Agent): Send {
  let calls = 0
  return async (method, path, key, body) => {
    const headers = {
      Authorization: `Bearer ${key}`,
      'CF-Connecting-IP': `10.0.${calls >> 8}.${calls++ & 255}`,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    }
    const text = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await send(server.origin, { host: API_HOST, method, path, headers, ...text }, http)
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
    return answer.text === '' ? null : JSON.parse(answer.text)
  }
}

/** A registry with one image for every repository and tag, each of its own digest. */
async function aRegistry(): Promise<{ host: string; close(): void }> {
  const server = createServer(({ url = '' }, response) => {
    const digest = `sha256:${createHash('sha256').update(url).digest('hex')}`
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const image = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 500 }
    const manifests = [{ ...image, platform: { os: 'linux', architecture: 'amd64' } }]
    const index = { schemaVersion: 2, mediaType, manifests }
    response.writeHead(200, { 'content-type': url === '/v2/' ? 'application/json' : mediaType })
    response.end(url === '/v2/' ? '{}' : JSON.stringify(index))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return { host: `127.0.0.1:${port}`, close: () => server.close() }
}

/** A runner for one registry's sensor key, or for the cloud's. */
async function register(call: Send, key: string): Promise<string> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  const { agentId } = await call('POST', '/api/agent/register', key, {
    ...{ name: 'bench', version: '1.0.0', hostname: 'bench', os: 'linux', arch: 'amd64' },
    ...{ scannerVersions: { trivy: '1' }, capabilities: CAPABILITIES, protocolVersion: PROTOCOL_VERSION },
    publicKey: { kty, crv, x, y },
  })
  return agentId
}

/** Milliseconds of each of `scans` scans, one after another. */
async function measure(
  call: Send,
  { key, host, runnerKey }: { key: string; host: string; runnerKey: string },
): Promise<number[]> {
  const agentId = await register(call, runnerKey)
  const latencies: number[] = []
  for (let at = 0; at < SCANS; at++) {
    const waiting = call('GET', `/api/agent/jobs?agentId=${agentId}&wait=${WAIT_SECONDS}`, runnerKey)
    await new Promise((done) => setTimeout(done, IN_LINE_MS))
    const asked = performance.now()
    const requested = call('POST', '/api/scans', key, {
      ...{ image: `${host}/team/app${at}:1.0`, scanners: ['trivy'] },
    })
    const [job] = (await waiting).jobs as Job[]
    latencies.push(performance.now() - asked)
    await requested
    await call('POST', `/api/agent/jobs/${job!.id}/status`, runnerKey, {
      ...{ status: 'failed', fence: job!.lease.fence },
    })
  }
  return latencies
}

Object.assign(process.env, { CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_LOG: 'error' })
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const server = await startServer(root, { ALLOW_PRIVATE_NETWORKS: 'true' })
const registry = await aRegistry()
const http = new Agent({ keepAlive: true, maxSockets: 10 })
try {
  const call = caller(server, http)
  const { data } = await call('POST', '/operator/organizations', server.operatorToken, {
    ...{ name: 'Hand-out', slug: 'hand-out', owner: { email: 'hand-out@example.com', name: 'Bench' } },
  })
  const { key } = data.apiKey
  const connect = (url: string, more: object) =>
    call('POST', '/api/registries', key, { name: url, provider: 'CUSTOM', url, schedule: 'manual', ...more })
  const sensed = 'sensed.bench.example'
  const { data: sensor } = await connect(sensed, { scanMethod: 'sensor' })
  await connect(`http://${registry.host}`, { insecure: true })
  const { data: runner } = await call('POST', '/operator/runners', server.operatorToken, { name: 'bench' })
  const pools = [
    { name: 'sensor, by tag', key, host: sensed, runnerKey: sensor.sensorApiKey },
    { name: 'cloud, resolved', key, host: registry.host, runnerKey: runner.key },
  ]
  for (const pool of pools) {
    const found = await measure(call, pool)
    const [p50, p99] = [percentile(found, 50), percentile(found, 99)].map((ms) => ms!.toFixed(0))
    console.log(`${pool.name}: ${SCANS} scans, request to handed out: p50 ${p50} ms, p99 ${p99} ms`)
  }
  console.log(`${cpus().length} processors, load average ${loadavg()[0]!.toFixed(1)}`)
} finally {
  http.destroy()
  registry.close()
  await server.close()
}
