import { describe, expect, it, onTestFinished } from 'vitest'
import { createClient } from '../src/client/client.ts'
import { ServerRefused } from '../src/client/request.ts'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'
import { aDashboard, aJob, type Dashboard } from './support/dashboard.ts'
import { API_KEY } from './support/workshop.ts'

const never = new AbortController().signal

async function connected(prefix = '', url?: string) {
  const dashboard = await aDashboard()
  onTestFinished(() => dashboard.close())
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level: 'debug', redactor: createRedactor(), write, now: () => new Date() })
  const baseUrl = `${url ?? dashboard.url}${prefix}`
  return { dashboard, lines, client: createClient({ baseUrl, apiKey: API_KEY, backoffMs: 1 }, log) }
}

/** Answers the first calls in this way, then as usual. */
function failFirst(dashboard: Dashboard, times: number, answer: ReturnType<Dashboard['intercept']>) {
  let left = times
  dashboard.intercept = () => (left-- > 0 ? answer : null)
}

const REGISTRATION = {
  name: 'r',
  version: '1',
  hostname: '',
  os: 'linux',
  arch: 'amd64',
  scannerVersions: {},
  capabilities: ['scan'],
}
const BLOB = { sha256: 'a'.repeat(64), content: new Uint8Array(1000), mediaType: 'application/json' }

describe('the client', () => {
  it('keeps the path prefix and sends its key as Bearer', async () => {
    const { dashboard, client } = await connected('/prefix')
    expect(await client.register(REGISTRATION, never)).toEqual({ agentId: 'agent-1' })
    expect(dashboard.received[0]).toMatchObject({
      path: '/prefix/api/agent/register',
      authorization: `Bearer ${API_KEY}`,
      body: REGISTRATION,
    })
  })

  it.each([
    ['a broken connection', 'drop' as const],
    ['500', { status: 500 }],
    ['503', { status: 503, headers: { 'retry-after': '0' } }],
    ['429', { status: 429, headers: { 'retry-after': '0' } }],
    ['HTML', { status: 502, body: '<html>' }],
  ])('tries again after %s', async (_what, answer) => {
    const { dashboard, client } = await connected()
    failFirst(dashboard, 3, answer)
    await client.putBlob({ id: 'job-1', fence: 4 }, BLOB, never)
    expect(dashboard.received).toHaveLength(4)
    expect(new Set(dashboard.received.map(({ path }) => path))).toEqual(
      new Set([`/api/agent/jobs/job-1/blobs/${BLOB.sha256}?fence=4`]),
    )
  })

  it.each([400, 401, 402, 403, 404, 409, 413])('never tries again after %i', async (status) => {
    const { dashboard, client } = await connected()
    dashboard.intercept = () => ({ status, body: { error: 'no', code: 'some_code' } })
    const error = await client.putBlob({ id: 'job-1', fence: 1 }, BLOB, never).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(ServerRefused)
    expect(error).toMatchObject({ status, code: 'some_code' })
    expect(dashboard.received).toHaveLength(1)
  })

  it('gives up an upload after a bounded number of tries', async () => {
    const { dashboard, client } = await connected()
    dashboard.intercept = () => ({ status: 500 })
    await expect(client.upload(new TextEncoder().encode('{}'), never)).rejects.toThrow(ServerRefused)
    expect(dashboard.received.length).toBeGreaterThan(3)
    expect(dashboard.received.length).toBeLessThan(20)
  })

  it('waits as long as Retry-After says', async () => {
    const { dashboard, client } = await connected()
    failFirst(dashboard, 1, { status: 429, headers: { 'retry-after': '1' } })
    const started = performance.now()
    await client.status('job-1', { status: 'completed', fence: 1 }, 5000, never)
    expect(performance.now() - started).toBeGreaterThanOrEqual(950)
  })

  it('declares the length of a blob', async () => {
    const { dashboard, client } = await connected()
    await client.putBlob({ id: 'job-1', fence: 1 }, BLOB, never)
    expect(dashboard.received[0]?.body).toEqual({ size: 1000, declared: 1000 })
  })

  it('sends its key nowhere else: redirects are refused', async () => {
    const [other, { dashboard, client }] = [await connected(), await connected()]
    dashboard.intercept = () => ({ status: 307, headers: { location: `${other.dashboard.url}/x` } })
    await expect(client.poll('agent-1', 0, never)).rejects.toMatchObject({ status: 307 })
    expect(other.dashboard.received).toEqual([])
  })

  it('registers as soon as the server is there', async () => {
    const { dashboard, client } = await connected()
    failFirst(dashboard, 12, 'drop')
    const registered = client.register(REGISTRATION, never)
    await expect(registered).resolves.toEqual({ agentId: 'agent-1' })
  }, 60_000)

  it('ends a retry when it is stopped', async () => {
    const { dashboard, client } = await connected()
    dashboard.intercept = () => ({ status: 503, headers: { 'retry-after': '30' } })
    const controller = new AbortController()
    const registering = client.register(REGISTRATION, controller.signal)
    await dashboard.until(() => dashboard.received.length > 0)
    controller.abort()
    await expect(registering).rejects.toThrow()
  })

  it('reads each job on its own, and names those that it cannot read', async () => {
    const { dashboard, client } = await connected()
    const jobs = [
      aJob('r.io/a:1'),
      { ...aJob('r.io/a:1', { id: 'job-2' }), platform: 7 },
      { id: '../x' },
      'text',
    ]
    dashboard.intercept = () => ({ status: 200, body: { jobs, cancelJobs: ['job-9'], more: true } })
    const poll = await client.poll('agent-1', 0, never)
    expect(poll.jobs.map(({ id }) => id)).toEqual(['job-1'])
    expect(poll.unreadable).toEqual([{ id: 'job-2', fence: 1 }])
    expect(poll.cancelJobs).toEqual(['job-9'])
  })

  it('takes a heartbeat answered without jobs as one that says nothing about them', async () => {
    const { dashboard, client } = await connected()
    for (const answer of [{ status: 204 }, { status: 200, body: { ok: true } }]) {
      dashboard.intercept = () => answer
      expect(await client.heartbeat({ agentId: 'a', jobs: [] }, never)).toEqual({ jobs: [] })
    }
  })

  it('never writes its key into the log', async () => {
    const { dashboard, client, lines } = await connected()
    failFirst(dashboard, 2, { status: 500, body: { error: API_KEY, code: API_KEY } })
    await client.status('job-1', { status: 'completed' }, 5000, never)
    expect(lines.length).toBe(2)
    expect(lines.join()).not.toContain(API_KEY)
  })
})
