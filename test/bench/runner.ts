import { generateKeyPairSync } from 'node:crypto'
import { CAPABILITIES, type Job, PROTOCOL_VERSION } from '../../src/scanning/sensors/protocol.ts'
import type { Result } from '../../src/scanning/sensors/result.ts'
import { type Cost, costOf } from './http.ts'
import { ENGINES, json, REGISTRY, type Send, until } from './tenant.ts'

/** What a runner may hold at once, at most. */
const JOBS_AT_ONCE = 64

/** A runner that scans nothing: it claims jobs and uploads results that it is given. */
export interface Runner {
  /** The next job, once there is one. */
  claim(): Promise<ClaimedJob>
  /** Uploads a result for a claimed job. */
  upload(job: ClaimedJob, result: Result): Promise<Upload>
  /** Uploads, and returns once the findings can be read. */
  deliver(job: ClaimedJob, result: Result): Promise<Delivery>
}

export interface ClaimedJob {
  repository: string
  tag: string
  job: Job
  /** Of the poll that got it; null while the Worker is not metered. */
  cost: Cost | null
}

export interface Upload {
  scanId: string
  /** Milliseconds from the first byte sent until the upload was answered. */
  answeredMs: number
  uploadBytes: number
}

export interface Delivery extends Upload {
  /** Milliseconds from the first byte sent until the scan was COMPLETE. */
  readableMs: number
}

/** Registers a runner under the sensor's key; `key` is the API key that asks how a scan is. */
export async function joinAsRunner(call: Send, sensorKey: string, key: string): Promise<Runner> {
  const agentId = await register(call, sensorKey)
  const upload = (claimed: ClaimedJob, result: Result) => uploadResult(call, sensorKey, claimed, result)
  return {
    claim: () => claim(call, sensorKey, agentId),
    upload,
    deliver: async (claimed, result) => {
      const started = performance.now()
      const uploaded = await upload(claimed, result)
      await until(`scan ${uploaded.scanId}`, async () => {
        const { data: scan } = json(await call('GET', `/api/scans/${uploaded.scanId}/status`, key))
        if (scan.status === 'FAILED') throw new Error(`the scan failed: ${JSON.stringify(scan)}`)
        return scan.status === 'COMPLETE' ? scan : null
      })
      return { ...uploaded, readableMs: performance.now() - started }
    },
  }
}

async function register(call: Send, sensorKey: string): Promise<string> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  const answer = await call('POST', '/api/agent/register', sensorKey, {
    ...{ name: 'bench', version: '1.0.0', hostname: 'bench', os: 'linux', arch: 'amd64' },
    scannerVersions: Object.fromEntries(ENGINES.map((engine) => [engine, '1.0.0'])),
    capabilities: CAPABILITIES,
    protocolVersion: PROTOCOL_VERSION,
    concurrency: JOBS_AT_ONCE,
    publicKey: { kty, crv, x, y },
  })
  return json(answer).agentId
}

async function claim(call: Send, sensorKey: string, agentId: string): Promise<ClaimedJob> {
  const path = `/api/agent/jobs?agentId=${encodeURIComponent(agentId)}`
  return until('a job to claim', async () => {
    const answer = await call('GET', path, sensorKey)
    const [job] = json(answer).jobs as Job[]
    if (!job) return null
    const [repository, tag] = job.scan.imageRef.slice(REGISTRY.length + 1).split(':')
    const cost = answer.headers['server-timing'] === undefined ? null : costOf(answer)
    return { job, repository: repository!, tag: tag!, cost }
  })
}

async function uploadResult(
  call: Send,
  sensorKey: string,
  { job }: ClaimedJob,
  result: Result,
): Promise<Upload> {
  const envelope = { ...result, fence: job.lease.fence, scan: { ...result.scan, id: job.id } }
  const body = JSON.stringify(envelope)
  const started = performance.now()
  const { scanId } = json(await call('POST', '/api/scans/upload', sensorKey, body))
  return { scanId, answeredMs: performance.now() - started, uploadBytes: Buffer.byteLength(body) }
}
