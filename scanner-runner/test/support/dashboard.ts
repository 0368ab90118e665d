import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { HeartbeatReply, Job, Result } from '../../../src/scanning/sensors/protocol.ts'

export interface Received {
  method: string
  path: string
  authorization: string
  body: unknown
}

interface Answer {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

/** A server of the lease protocol that records what it is told and answers as the test says. */
export interface Dashboard {
  url: string
  received: Received[]
  blobs: Map<string, Buffer>
  jobs: Job[]
  /** What the server says that it speaks; one that says nothing is an old one. */
  capabilities: string[] | null
  /** Hands a job out: to a poll that is held for one, else to the next. */
  offer(job: Job): void
  /** Polls that are held. */
  held(): number
  /** Answers them with nothing. */
  answerHeld(): void
  /** What heartbeats are answered with, for the jobs they name. */
  onHeartbeat: (ids: string[]) => HeartbeatReply
  /** Asked first: an answer here takes the place of the usual one. */
  intercept: (received: Received) => Answer | 'drop' | null
  envelopes(): Result[]
  statuses(): { path: string; status: string; reason?: { code: string } }[]
  /** Settles as soon as something received satisfies the condition. */
  until<T>(find: () => T | undefined | false | null): Promise<T>
  close(): Promise<void>
}

export async function aDashboard(): Promise<Dashboard> {
  const received: Received[] = []
  const blobs = new Map<string, Buffer>()
  let waiting: (() => void)[] = []
  const held = new Set<ServerResponse>()
  const dashboard: Dashboard = {
    url: '',
    received,
    blobs,
    jobs: [],
    capabilities: null,
    held: () => held.size,
    answerHeld() {
      for (const poll of held) send(poll, { status: 200, body: { jobs: [] } })
      held.clear()
    },
    offer(job) {
      const [poll] = held
      if (!poll) return void dashboard.jobs.push(job)
      held.delete(poll)
      send(poll, { status: 200, body: { jobs: [job] } })
    },
    onHeartbeat: (ids) => ({ jobs: ids.map((id) => ({ id, leaseSeconds: 120, cancel: false })) }),
    intercept: () => null,
    envelopes: () => bodies<Result>(received, '/api/scans/upload'),
    statuses: () =>
      received
        .filter(({ path }) => path.endsWith('/status'))
        .map(({ path, body }) => ({ path, ...(body as { status: string }) })),
    async until(find) {
      for (;;) {
        const found = find()
        if (found) return found
        await new Promise<void>((done) => waiting.push(done))
      }
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
  const server = createServer(async (request, response) => {
    const one = await record(request, blobs)
    received.push(one)
    const answer = dashboard.intercept(one)
    if (!answer && isHeld(one, dashboard)) {
      held.add(response)
      response.on('close', () => held.delete(response))
    } else send(response, answer ?? usual(one, dashboard))
    const woken = waiting
    waiting = []
    for (const wake of woken) wake()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  dashboard.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return dashboard
}

const bodies = <T>(received: readonly Received[], path: string): T[] =>
  received.filter((one) => one.path.endsWith(path)).map((one) => one.body as T)

async function record(request: IncomingMessage, blobs: Map<string, Buffer>): Promise<Received> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  const path = request.url ?? ''
  const common = { method: request.method ?? '', path, authorization: request.headers.authorization ?? '' }
  if (request.method === 'PUT') {
    blobs.set(createHash('sha256').update(bytes).digest('hex'), bytes)
    return { ...common, body: { size: bytes.length, declared: Number(request.headers['content-length']) } }
  }
  return { ...common, body: bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : null }
}

const isHeld = ({ path }: Received, { capabilities, jobs }: Dashboard): boolean =>
  capabilities?.includes('wait') === true && /[?&]wait=[1-9]/.test(path) && jobs.length === 0

function usual({ method, path, body }: Received, dashboard: Dashboard): Answer {
  if (path.endsWith('/api/agent/register')) {
    const { capabilities } = dashboard
    return {
      status: 200,
      body: { agentId: 'agent-1', ...(capabilities && { protocolVersion: 1, capabilities }) },
    }
  }
  if (path.endsWith('/api/agent/heartbeat')) {
    const { status, jobs } = body as { status: string; jobs: { id: string }[] }
    if (status === 'stopping') dashboard.answerHeld()
    const ids = jobs.map(({ id }) => id)
    return { status: 200, body: dashboard.onHeartbeat(ids) }
  }
  if (path.includes('/api/agent/jobs?')) return { status: 200, body: { jobs: dashboard.jobs.splice(0, 1) } }
  if (path.endsWith('/api/scans/upload'))
    return { status: 200, body: { ok: true, scanId: 'scan-1', imageId: 'image-1' } }
  if (method === 'PUT' || path.endsWith('/status')) return { status: 204 }
  return { status: 404, body: { error: 'not here', code: 'not_found' } }
}

function send(response: ServerResponse, answer: Answer | 'drop'): void {
  if (answer === 'drop') {
    response.socket?.destroy()
    return
  }
  response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
  response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body))
}

/** A job as the server hands it out. */
export function aJob(imageRef: string, over: Partial<Job> = {}): Job {
  return {
    id: 'job-1',
    type: 'scan',
    createdAt: '2026-11-21T00:00:00Z',
    scan: { imageRef, source: 'registry', scanners: ['trivy', 'grype', 'syft'] },
    lease: { fence: 1, seconds: 120 },
    platform: 'linux/amd64',
    digest: null,
    indexDigest: null,
    insecure: true,
    credentials: null,
    ...over,
  }
}
