import { exports } from 'cloudflare:workers'
import { type GoEngineRun, goEnvelope } from './go-envelope.ts'
import { type GoType, goDecode, goEncode } from './go-json.ts'

/**
 * The existing Go sensor, as it behaves on the wire: its requests and headers, its strict decoding, what it does not
 * retry, and when it is silent. Time does not pass by itself: waits are noted and heartbeats are sent when asked.
 */

export interface GoJob {
  id: string
  type: string
  createdAt: string
  scan: { imageRef: string; source: string; tarPath: string; scanners: string[] | null } | null
}

const JOB: GoType = {
  struct: {
    id: 'string',
    type: 'string',
    createdAt: 'string',
    scan: {
      nullable: {
        struct: { imageRef: 'string', source: 'string', tarPath: 'string', scanners: { array: 'string' } },
      },
    },
  },
}
const POLL_REPLY: GoType = { struct: { jobs: { array: JOB }, cancelJobs: { array: 'string' } } }

export interface GoSensorOptions {
  key: string
  /** Joined with paths as it is. */
  dashboardUrl?: string
  name?: string
  hostname?: string
  scannerVersions?: Record<string, string>
  /** What the engines of a job print. */
  engines?: (job: GoJob) => GoEngineRun[]
  /** Stands between sensor and server: for lost and late replies. */
  network?: (request: Request, send: (request: Request) => Promise<Response>) => Promise<Response>
}

export const GO_VERSIONS = { trivy: 'Version: 0.69.3', grype: 'Application: grype', syft: 'syft 1.38.0' }
const BACK_OFF = [1, 2, 4, 8, 16, 30, 30, 30, 30] // seconds between ten attempts to register
const CLIENT_TIMEOUT_MS = 30_000
const MAX_REDIRECTS = 10

export class GoSensor {
  agentId = ''
  /** Seconds slept between attempts to register. */
  readonly slept: number[] = []
  /** Method and path of each request, in order, with the status of its reply. */
  readonly calls: string[] = []
  /** What it only logs. */
  readonly errors: string[] = []
  activeScans = 0
  private readonly options: GoSensorOptions

  constructor(options: GoSensorOptions) {
    this.options = options
  }

  /** Ten attempts, all refusals alike; null and no agent id where none worked. A reply without one "works". */
  async register(): Promise<boolean> {
    const body = {
      name: this.options.name ?? this.hostname,
      version: '0.1.0',
      hostname: this.hostname,
      os: 'linux',
      arch: 'amd64',
      scannerVersions: this.versions,
      capabilities: ['scan'],
      s3Configured: false,
    }
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        const reply = await this.request('POST', '/api/agent/register', body, {
          struct: { agentId: 'string' },
        })
        this.agentId = (reply as { agentId: string } | null)?.agentId ?? ''
        return true
      } catch (error) {
        this.errors.push(String(error))
        if (attempt < BACK_OFF.length) this.slept.push(BACK_OFF[attempt]!)
      }
    }
    return false
  }

  /** Up to five minutes in which nothing is sent. */
  async warmUp(): Promise<void> {}

  async heartbeat(): Promise<void> {
    const { agentId, activeScans } = this
    const status = activeScans > 0 ? 'scanning' : 'idle'
    await this.logged(
      this.request('POST', '/api/agent/heartbeat', { agentId, status, activeScans, uptimeSeconds: 30 }),
    )
  }

  /** One poll and, strictly one after another, what it gave. Returns the ids of the jobs that it ran. */
  async pollOnce(): Promise<string[]> {
    const jobs = await this.fetchJobs().catch((error: unknown) => {
      this.errors.push(String(error))
      return []
    })
    const ran: string[] = []
    for (const job of jobs) {
      if (job.type.toLowerCase() !== 'scan' || !job.scan) continue
      ran.push(job.id)
      await this.run(job)
    }
    return ran
  }

  /** The jobs of a poll. A nil list is asked for again at once, as a bare array. */
  async fetchJobs(): Promise<GoJob[]> {
    if (this.agentId === '') throw new Error('Agent not registered')
    const path = `/api/agent/jobs?agentId=${this.agentId}`
    const reply = (await this.request('GET', path, undefined, POLL_REPLY)) as { jobs: GoJob[] | null } | null
    if (reply?.jobs) return reply.jobs
    return ((await this.request('GET', path, undefined, { array: JOB })) as GoJob[] | null) ?? []
  }

  /** Engines, envelope, upload, then a status; an upload that is refused is reported and never tried again. */
  async run(job: GoJob): Promise<void> {
    this.activeScans = 1
    try {
      const startedAt = Date.now()
      const runs = this.options.engines?.(job) ?? []
      const scan = { id: job.id, imageRef: job.scan!.imageRef, startedAt, finishedAt: Date.now() }
      await this.uploadAndReport(job.id, goEnvelope(scan, this.versions, runs))
    } catch (error) {
      await this.status(job.id, 'failed', String(error))
    } finally {
      this.activeScans = 0
    }
  }

  async uploadAndReport(jobId: string, envelope: unknown): Promise<void> {
    try {
      await this.upload(envelope)
    } catch (error) {
      return this.status(jobId, 'failed', String(error))
    }
    await this.status(jobId, 'completed')
  }

  async upload(envelope: unknown): Promise<{ scanId: string; imageId: string } | null> {
    const type: GoType = { struct: { scanId: 'string', imageId: 'string' } }
    return (await this.request('POST', '/api/scans/upload', envelope, type)) as never
  }

  /** Failures are only logged. The error is left out when it is empty. */
  async status(jobId: string, status: 'completed' | 'failed' | 'cancelled', error = ''): Promise<void> {
    const body = error ? { status, error } : { status }
    await this.logged(this.request('POST', `/api/agent/jobs/${jobId}/status`, body))
  }

  private get hostname(): string {
    return this.options.hostname ?? 'sensor-1'
  }

  get versions(): Record<string, string> {
    return this.options.scannerVersions ?? GO_VERSIONS
  }

  private async logged(call: Promise<unknown>): Promise<void> {
    await call.catch((error: unknown) => this.errors.push(String(error)))
  }

  private async request(method: string, path: string, body?: unknown, result?: GoType): Promise<unknown> {
    const text = body === undefined ? undefined : goEncode(body)
    const response = await this.follow(method, (this.options.dashboardUrl ?? 'https://api.test') + path, text)
    this.calls.push(`${method} ${path.split('?')[0]} ${response.status}`)
    if (response.status < 200 || response.status > 299) {
      throw new Error(`${method} ${path} failed (${response.status}): ${await response.text()}`)
    }
    if (!result || !response.headers.get('Content-Type')) {
      await response.body?.cancel() // the connection is closed with what was not read
      return null
    }
    return goDecode(await response.text(), result)
  }

  /** Redirects as Go's client follows them: 301, 302 and 303 become GET and lose the body. */
  private async follow(method: string, url: string, body: string | undefined): Promise<Response> {
    let now = { method, url, body }
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await this.exchange(now.method, now.url, now.body)
      const location = response.headers.get('Location')
      if (response.status < 300 || response.status > 399 || !location) return response
      const keeps = response.status === 307 || response.status === 308
      now = {
        method: keeps ? now.method : 'GET',
        url: new URL(location, now.url).href,
        body: keeps ? now.body : undefined,
      }
    }
    throw new Error('stopped after 10 redirects')
  }

  private async exchange(method: string, url: string, body: string | undefined): Promise<Response> {
    const headers = new Headers({
      'Content-Type': 'application/json',
      Authorization: `Bearer ${this.options.key}`,
      'User-Agent': 'Go-http-client/1.1',
      'Accept-Encoding': 'gzip',
      'CF-Connecting-IP': '198.51.100.7',
    })
    if (body !== undefined) headers.set('Content-Length', String(new TextEncoder().encode(body).length))
    const request = new Request(url, {
      method,
      headers,
      redirect: 'manual',
      ...(body !== undefined && { body }),
    })
    const send = (one: Request) => exports.default.fetch(one)
    const exchange = this.options.network ? this.options.network(request, send) : send(request)
    let timer: number | null = null
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('Client.Timeout exceeded')), CLIENT_TIMEOUT_MS)
    })
    try {
      return await Promise.race([exchange, timeout])
    } finally {
      clearTimeout(timer)
    }
  }
}
