import { generateKeyPairSync } from 'node:crypto'
import { Agent } from 'node:http'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CAPABILITIES, type Job, PROTOCOL_VERSION } from '../../src/scanning/sensors/protocol.ts'
import { send } from './http.ts'
import { API_HOST, type BenchServer, startServer } from './server.ts'
import { percentile } from './statistics.ts'

const SCANS = 30
const REGISTRY = 'registry.bench.example'
const WAIT_SECONDS = 25

/** Milliseconds from the request of a scan, sent, until a runner that waits has its job. */
export async function measureHandOut(server: BenchServer, scans: number): Promise<number[]> {
  const http = new Agent({ keepAlive: true, maxSockets: 10 })
  let calls = 0
  const call = async (method: string, path: string, key: string, body?: unknown) => {
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
  const owner = { email: 'hand-out@example.com', name: 'Bench' }
  const made = await call('POST', '/operator/organizations', server.operatorToken, {
    ...{ name: 'Hand-out', slug: 'hand-out', owner },
  })
  const key = made.data.apiKey.key
  const { data: registry } = await call('POST', '/api/registries', key, {
    ...{ name: 'Hand-out', provider: 'CUSTOM', url: REGISTRY, scanMethod: 'sensor', schedule: 'manual' },
  })
  const { kty, crv, x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    format: 'jwk',
  })
  const { agentId } = await call('POST', '/api/agent/register', registry.sensorApiKey, {
    ...{ name: 'bench', version: '1.0.0', hostname: 'bench', os: 'linux', arch: 'amd64' },
    ...{ scannerVersions: { trivy: '1' }, capabilities: CAPABILITIES, protocolVersion: PROTOCOL_VERSION },
    publicKey: { kty, crv, x, y },
  })
  const path = `/api/agent/jobs?agentId=${agentId}&wait=${WAIT_SECONDS}`
  const latencies: number[] = []
  for (let at = 0; at < scans; at++) {
    const waiting = call('GET', path, registry.sensorApiKey)
    await new Promise((done) => setTimeout(done, 150)) // the poll is in the line when the scan is asked for
    const asked = performance.now()
    const requested = call('POST', '/api/scans', key, {
      ...{ image: `${REGISTRY}/team/app${at}:1.0`, scanners: ['trivy'] },
    })
    const [job] = (await waiting).jobs as Job[]
    latencies.push(performance.now() - asked)
    await requested
    await call('POST', `/api/agent/jobs/${job!.id}/status`, registry.sensorApiKey, {
      ...{ status: 'failed', fence: job!.lease.fence },
    })
  }
  http.destroy()
  return latencies
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  Object.assign(process.env, { CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_LOG: 'warn' })
  const server = await startServer(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))
  try {
    const found = await measureHandOut(server, SCANS)
    const [p50, p99] = [percentile(found, 50), percentile(found, 99)]
    console.log(`${SCANS} scans, request to handed out: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`)
  } finally {
    await server.close()
  }
}
