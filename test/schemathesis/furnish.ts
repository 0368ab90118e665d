import { createHash, generateKeyPairSync } from 'node:crypto'
import { CAPABILITIES, type Job } from '../../src/scanning/sensors/protocol.ts'
import { aResult, DAY } from '../risk/results.ts'
import type { Call, Reply } from './calls.ts'

const HOST = 'registry.test'
const ENGINES = ['trivy', 'grype', 'syft']
const GIVE_UP_MS = 60_000

/** An organization in which every list has something in it, and a runner that holds a lease. */
export interface Furnished {
  adminKey: string
  adminKeyId: string
  viewerKey: string
  sensorKey: string
  registryId: string
  agentId: string
  scanId: string
  imageId: string
  tagId: string
  vulnId: string
  keyId: string
  job: Job
  /** Of the blob that the complete scan stored. */
  sha256: string
}

const BLOB = '{"bomFormat":"CycloneDX"}'

export async function furnish(call: Call, operatorToken: string): Promise<Furnished> {
  const made = await ok(
    call('POST', '/operator/organizations', {
      headers: { Authorization: `Bearer ${operatorToken}` },
      body: { name: 'Fuzzed', slug: 'fuzzed', owner: { email: 'owner@example.com', name: 'Owner' } },
    }),
  )
  const adminKey: string = made.data.apiKey.key
  const viewer = await ok(
    call('POST', '/api/api-keys', { key: adminKey, body: { name: 'viewer', role: 'viewer' } }),
  )
  const registry = await ok(
    call('POST', '/api/registries', {
      key: adminKey,
      body: { name: 'Sensor', provider: 'CUSTOM', url: HOST, scanMethod: 'sensor', schedule: 'manual' },
    }),
  )
  const { id: registryId, sensorApiKey: sensorKey } = registry.data
  const agentId = (await ok(call('POST', '/api/agent/register', { key: sensorKey, body: registration() })))
    .agentId
  const first = await leased(call, { adminKey, sensorKey, agentId }, 'team/app:1.0')
  const sha256 = await complete(call, sensorKey, adminKey, first)
  const { job } = await leased(call, { adminKey, sensorKey, agentId }, 'team/app:1.1')
  const get = (path: string) => ok(call('GET', path, { key: adminKey }))
  const imageId = (await get('/api/images')).data[0].id
  return {
    ...{
      adminKey,
      viewerKey: viewer.data.key,
      sensorKey,
      registryId,
      agentId,
      scanId: first.scanId,
      imageId,
      sha256,
      job,
    },
    adminKeyId: made.data.apiKey.id,
    tagId: (await get(`/api/images/${imageId}/tags`)).data[0].id,
    vulnId: (await get('/api/vulnerabilities?limit=1')).data[0].id,
    keyId: viewer.data.id,
  }
}

/** The body of a 2xx reply. */
async function ok(pending: Promise<Reply>) {
  const reply = await pending
  if (reply.status >= 300) throw new Error(`answered ${reply.status}: ${reply.text.slice(0, 500)}`)
  return reply.body
}

export function registration() {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  return {
    ...{ name: 'runner', version: '1.0.0', capabilities: [...CAPABILITIES], publicKey: { kty, crv, x, y } },
    scannerVersions: Object.fromEntries(ENGINES.map((engine) => [engine, '1.0.0'])),
  }
}

interface Keys {
  adminKey: string
  sensorKey: string
  agentId: string
}

/** Asks for a scan and takes its job. */
export async function leased(call: Call, { adminKey, sensorKey, agentId }: Keys, image: string) {
  const asked = await ok(
    call('POST', '/api/scans', { key: adminKey, body: { image: `${HOST}/${image}`, scanners: ENGINES } }),
  )
  const job = await until('a job', async () => {
    const reply = await ok(call('GET', `/api/agent/jobs?agentId=${agentId}`, { key: sensorKey }))
    return (reply.jobs as Job[])[0]
  })
  return { scanId: asked.scanId as string, job }
}

/** Uploads an SBOM, an engine's output and a result, and waits until the scan is complete. */
async function complete(
  call: Call,
  sensorKey: string,
  adminKey: string,
  { scanId, job }: { scanId: string; job: Job },
): Promise<string> {
  const sha256 = createHash('sha256').update(BLOB).digest('hex')
  const { fence } = job.lease
  await ok(
    call('PUT', `/api/agent/jobs/${job.id}/blobs/${sha256}?fence=${fence}`, { key: sensorKey, body: BLOB }),
  )
  const result = aResult({ packages: 20, findings: 15, jobId: job.id, fence, build: Date.now() - DAY })
  result.engines[0]!.raw = { sha256, size: BLOB.length }
  result.sboms = [{ format: 'cyclonedx', sha256, size: BLOB.length, mediaType: 'application/json' }]
  await ok(call('POST', '/api/scans/upload', { key: sensorKey, body: result }))
  await until('a complete scan', async () => {
    const { status } = (await ok(call('GET', `/api/scans/${scanId}/status`, { key: adminKey }))).data
    if (status === 'FAILED') throw new Error('the scan failed')
    return status === 'COMPLETE'
  })
  return sha256
}

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const deadline = Date.now() + GIVE_UP_MS; Date.now() < deadline; ) {
    const found = await look()
    if (found) return found
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`${what} did not come`)
}
