import type { Job } from '../../src/scanning/sensors/protocol.ts'
import type { ResultShape } from '../risk/results.ts'
import { resultFor } from '../scanning/world.ts'
import { theOperator } from '../world.ts'
import type { System } from './system.ts'
import { type Answer, expectStatus, retrying } from './tenant.ts'

const KEY_PAIR = { name: 'ECDH', namedCurve: 'P-256' }

/** A runner process whose engines are made up. It speaks HTTP to the Worker and does each step when told to. */
export class FakeRunner {
  private readonly system: System
  private readonly key: string
  readonly agentId: string

  private constructor(system: System, key: string, agentId: string) {
    this.system = system
    this.key = key
    this.agentId = agentId
  }

  /** Registers with `key`, or with a cloud runner's key of its own. */
  static async register(system: System, given?: string): Promise<FakeRunner> {
    const key =
      given ?? ((await theOperator.post('/operator/runners', { name: 'r' })).body.data.key as string)
    const pair = (await crypto.subtle.generateKey(KEY_PAIR, true, ['deriveBits'])) as CryptoKeyPair
    const { x, y } = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as JsonWebKey
    const unregistered = new FakeRunner(system, key, '')
    const answer = await retrying(system, () =>
      unregistered.send('POST', '/api/agent/register', {
        ...{ name: 'runner', version: '1.0.0', protocolVersion: 1 },
        scannerVersions: { trivy: '0.69', grype: '0.104', syft: '1.38' },
        capabilities: ['scan', 'lease', 'blobs', 'progress', 'sealed-credentials'],
        publicKey: { kty: 'EC', crv: 'P-256', x, y },
      }),
    )
    return new FakeRunner(system, key, expectStatus(answer, 200).body.agentId)
  }

  /** A sensor of the old protocol, with the key of its registry: no lease, no key of its own. */
  static async sensor(system: System, key: string): Promise<FakeRunner> {
    const answer = await new FakeRunner(system, key, '').send('POST', '/api/agent/register', {
      ...{
        name: 'sensor',
        version: '0.9',
        hostname: 'h',
        os: 'linux',
        arch: 'amd64',
        capabilities: ['scan'],
      },
      scannerVersions: { trivy: '0.69', grype: '0.104', syft: '1.38' },
    })
    return new FakeRunner(system, key, expectStatus(answer, 200, 201).body.agentId)
  }

  /** `announced` is what Content-Length says where it is not the body's. */
  send(method: string, path: string, body?: unknown, announced?: number): Promise<Answer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const length: Record<string, string> =
      body === undefined
        ? {}
        : { 'Content-Length': String(announced ?? new TextEncoder().encode(text).length) }
    return this.system.fetch(
      new Request(`https://api.test${path}`, {
        method,
        headers: { Authorization: `Bearer ${this.key}`, 'Content-Type': 'application/json', ...length },
        ...(body === undefined ? {} : { body: text }),
      }),
    )
  }

  /** A job, or null when there is none or the answer was lost. */
  async poll(): Promise<Job | null> {
    const answer = await this.send('GET', `/api/agent/jobs?agentId=${this.agentId}`)
    return answer.status === 200 ? (answer.body.jobs[0] ?? null) : null
  }

  /** What the heartbeat says about a job's lease. */
  async renew(job: Job | null, progress = 30): Promise<{ leaseSeconds: number; cancel: boolean } | null> {
    const engines = [{ name: 'trivy', status: 'running' }]
    const jobs = job
      ? [{ id: job.id, fence: job.lease.fence, progress: { phase: 'scanning', progress, engines } }]
      : []
    const answer = await this.send('POST', '/api/agent/heartbeat', { agentId: this.agentId, jobs })
    return answer.status === 200 ? (answer.body.jobs[0] ?? null) : null
  }

  async putBlob(job: Job, text: string): Promise<Answer & { sha256: string }> {
    const sha256 = await digestOf(text)
    const path = `/api/agent/jobs/${job.id}/blobs/${sha256}?fence=${job.lease.fence}`
    return { sha256, ...(await retrying(this.system, () => this.send('PUT', path, text))) }
  }

  /** The SBOM and one engine's output of a job. */
  putBlobs(job: Job): Promise<(Answer & { sha256: string })[]> {
    return Promise.all(blobsOf(job).map((text) => this.putBlob(job, text)))
  }

  async result(job: Job, shape: ResultShape = {}) {
    const result = resultFor(job, shape)
    const [sbom, raw] = blobsOf(job)
    result.sboms = [
      {
        format: 'cyclonedx',
        sha256: await digestOf(sbom!),
        size: sbom!.length,
        mediaType: 'application/json',
      },
    ]
    result.engines[0]!.raw = { sha256: await digestOf(raw!), size: raw!.length }
    return result
  }

  async upload(job: Job, shape: ResultShape = {}): Promise<Answer> {
    const result = await this.result(job, shape)
    return retrying(this.system, () => this.send('POST', '/api/scans/upload', result))
  }

  report(job: Job, status: string): Promise<Answer> {
    const said = { status, fence: job.lease.fence }
    return retrying(this.system, () => this.send('POST', `/api/agent/jobs/${job.id}/status`, said))
  }

  /** The whole of a job after its claim. */
  async complete(job: Job, shape: ResultShape = {}): Promise<Answer> {
    await this.renew(job)
    await this.putBlobs(job)
    return this.upload(job, shape)
  }
}

/** Equal images have equal blobs, whichever runner makes them. */
const blobsOf = (job: Job): string[] => {
  const name = job.scan.imageRef.replace(/^[^/]+\//, '')
  return [`{"bomFormat":"CycloneDX","image":"${name}"}`, `{"Results":[],"image":"${name}"}`]
}

async function digestOf(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
