import { evictDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { findCredential } from '../../src/auth/credentials.ts'
import type { AgentContext } from '../../src/context.ts'
import type { Timer } from '../../src/db/live-socket.ts'
import { runnerPool } from '../../src/db/objects.ts'
import type { Env } from '../../src/env.ts'
import { jobWireId } from '../../src/ids.ts'
import { poolOfOrganization } from '../../src/scanning/labelled-pools.ts'
import { pollJob } from '../../src/scanning/sensors/hand-out.ts'
import { type Job, STOPPING } from '../../src/scanning/sensors/protocol.ts'
import { renewLeases } from '../../src/scanning/sensors/renew.ts'
import { runnerOf } from '../../src/scanning/sensors/runner-identity.ts'
import { MAX_WAIT_SECONDS, waitForJob } from '../../src/scanning/sensors/wait-for-job.ts'
import { anOrganization, caller, theOperator } from '../world.ts'
import { aHttpRunner, connected, dispatched } from './over-http.ts'
import { accessTo, aScan, aWorld, baseAt, emptyPools, register, settle, type World } from './world.ts'

/** The end of a wait never comes by itself: what is answered was announced. */
const never: Timer = (_, signal) => new Promise((done) => signal.addEventListener('abort', () => done()))

const pool = () => runnerPool(env as unknown as Env, 'cloud')
const inLine = (count: number) => until(async () => (await pool().waiting()) === count)

interface Waiter {
  key: string
  agentId: string
  /** Polls that asked the database. */
  claims: () => number
  ctx: AgentContext
  wait(options?: Partial<WaitOptions>): Promise<string[]>
}

interface WaitOptions {
  seconds: number
  timer: Timer
  signal: AbortSignal
  /** Runs behind the first claim, before the poll joins the line. */
  behindFirst: () => Promise<unknown>
  env: Env
}

/** A runner whose polls wait; they answer with the ids of jobs. */
async function aWaiter(engines: readonly string[] = ['trivy', 'grype', 'syft']): Promise<Waiter> {
  const key: string = (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
  const base = baseAt(Date.now())
  const { id } = await findCredential(base.directory, key, base.now)
  const identity = { credentialId: id, pool: 'cloud', org: null, registryId: null, shard: null }
  const agentId = await register(identity, engines, Date.now())
  const credential = await findCredential(base.directory, key, base.now, agentId)
  const ctx: AgentContext = { ...base, credential }
  ctx.directory.meter.roundTrips = 0
  let claims = 0
  const wait: Waiter['wait'] = async (options = {}) => {
    const { seconds = MAX_WAIT_SECONDS, timer = never, signal = new AbortController().signal } = options
    const headers = new Headers({ 'X-API-Key': key })
    const poll = async (now: AgentContext): Promise<Job[]> => {
      claims++
      const jobs = await pollJob(now, runnerOf(now), now.credential.agent, accessTo())
      if (claims === 1) await options.behindFirst?.()
      return jobs as Job[]
    }
    const called = { ...ctx, env: options.env ?? ctx.env }
    const jobs = await waitForJob(called, { seconds, request: { headers, signal } }, poll, timer)
    return jobs.map((job) => job.id)
  }
  return { key, agentId, claims: () => claims, ctx, wait }
}

const wireId = ({ organization }: World, scanId: string) =>
  jobWireId(organization.shard, organization.num, scanId)

describe('a poll that waits', () => {
  let world: World

  beforeEach(async () => {
    await settle()
    await emptyPools()
    world = await aWorld()
  })

  const scanNow = (more = {}) => aScan(world, { at: Date.now(), ...more })

  it('is answered as soon as work is announced, while no time passes', async () => {
    const waiter = await aWaiter()
    const waiting = waiter.wait()
    await inLine(1)
    const scanId = await scanNow()
    expect(await waiting).toEqual([wireId(world, scanId)])
    expect(waiter.claims()).toBe(2)
    expect(await pool().waiting()).toBe(0)
  })

  it('is woken by an object that slept meanwhile', async () => {
    const waiter = await aWaiter()
    const waiting = waiter.wait()
    await inLine(1)
    await evictDurableObject(pool())
    const scanId = await scanNow()
    expect(await waiting).toEqual([wireId(world, scanId)])
  })

  it('is answered where the object is lost', async () => {
    const waiting = (await aWaiter()).wait()
    await inLine(1)
    await evictDurableObject(pool(), { webSockets: 'close' })
    expect(await waiting).toEqual([])
  })

  it('asks no database while it waits: an idle one costs what a plain poll costs', async () => {
    const [plain, idle] = [await aWaiter(), await aWaiter()]
    expect(await plain.wait({ seconds: 0 })).toEqual([])
    const asked: number[] = []
    const timer: Timer = async (milliseconds) => void asked.push(milliseconds)
    expect(await idle.wait({ timer })).toEqual([])
    const cost = ({ ctx }: Waiter) => ctx.directory.meter
    expect([idle.claims(), cost(idle).roundTrips]).toEqual([1, cost(plain).roundTrips])
    expect(cost(idle).roundTrips).toBeLessThanOrEqual(3)
    expect([asked.length, cost(idle).rowsWritten]).toEqual([1, 0])
    expect(asked[0]).toBeGreaterThan((MAX_WAIT_SECONDS - 5) * 1000)
    expect(asked[0]).toBeLessThanOrEqual(MAX_WAIT_SECONDS * 1000)
  })

  it('costs the key, the hints’ shard and one claim more when it is woken', async () => {
    const waiter = await aWaiter()
    const waiting = waiter.wait()
    await inLine(1)
    const { roundTrips } = waiter.ctx.directory.meter
    await scanNow()
    await waiting
    expect(waiter.ctx.directory.meter.roundTrips - roundTrips).toBeLessThanOrEqual(3)
  })

  it('is the only one woken for one job, the longest waiting first', async () => {
    const waiters: Waiter[] = []
    const waiting: Promise<string[]>[] = []
    for (let i = 0; i < 4; i++) {
      waiters.push(await aWaiter())
      waiting.push(waiters[i]!.wait())
      await inLine(i + 1)
    }
    for (let i = 0; i < 4; i++) {
      const scanId = await scanNow({ image: `team/app${i}:1` })
      expect(await waiting[i]).toEqual([wireId(world, scanId)])
      expect(waiters.map((each) => each.claims())).toEqual([0, 1, 2, 3].map((at) => (at <= i ? 2 : 1)))
    }
  })

  it('is followed by the next where one announcement stands for several jobs', async () => {
    const waiters = [await aWaiter(), await aWaiter(), await aWaiter()]
    const waiting = waiters.map((each) => each.wait())
    await inLine(3)
    const at = Date.now()
    const silent = { ...world, at: (now: number) => ({ ...world.at(now), defer: () => {} }) }
    for (const image of ['team/a:1', 'team/b:1', 'team/c:1']) await aScan(silent, { at, image })
    await pool().announce(world.organization.shard, at, true)
    const found = (await Promise.all(waiting)).flat()
    expect(new Set(found).size).toBe(3)
    expect(waiters.map((each) => each.claims())).toEqual([2, 2, 2])
  })

  it('passes on what it cannot run, and goes on waiting', async () => {
    const [syft, trivy] = [await aWaiter(['syft']), await aWaiter(['trivy'])]
    const first = syft.wait()
    await inLine(1)
    const second = trivy.wait()
    await inLine(2)
    const scanId = await scanNow({ scanners: ['trivy'] })
    expect(await second).toEqual([wireId(world, scanId)])
    await inLine(1)
    const other = await scanNow({ image: 'team/other:1', scanners: ['syft'] })
    expect(await first).toEqual([wireId(world, other)])
  })

  it('leaves its job to the next when it fails or its client has gone', async () => {
    const [failing, gone, last] = [await aWaiter(), await aWaiter(), await aWaiter()]
    const revoked = failing.wait().catch((error) => error.code)
    await inLine(1)
    const client = new AbortController()
    const left = gone.wait({ signal: client.signal })
    await inLine(2)
    const waiting = last.wait()
    await inLine(3)
    client.abort()
    expect(await left).toEqual([])
    await inLine(2)
    await world.at(0).directory.run({
      sql: 'UPDATE credentials SET revoked_at = 1 WHERE id = ?',
      params: [failing.ctx.credential.id],
    })
    const scanId = await scanNow()
    expect(await revoked).toBe('UNAUTHORIZED')
    expect(await waiting).toEqual([wireId(world, scanId)])
    expect([failing.claims(), gone.claims()]).toEqual([1, 1])
  })

  it('is answered when its runner says that it stops, and when the runner polls anew', async () => {
    const waiter = await aWaiter()
    const stopped = waiter.wait()
    await inLine(1)
    await renewLeases(baseAt(Date.now()), runnerOf(waiter.ctx), {
      ...{ agentId: waiter.agentId, status: STOPPING, jobs: [] },
    })
    expect(await stopped).toEqual([])
    const older = waiter.wait()
    await inLine(1)
    const newer = waiter.wait()
    expect(await older).toEqual([])
    await inLine(1)
    const scanId = await scanNow()
    expect(await newer).toEqual([wireId(world, scanId)])
  })

  it('claims nothing for a client that left while it looked', async () => {
    const waiter = await aWaiter()
    const client = new AbortController()
    const behindFirst = async () => client.abort()
    expect(await waiter.wait({ signal: client.signal, behindFirst })).toEqual([])
    const scanId = await scanNow()
    expect(await (await aWaiter()).wait()).toEqual([wireId(world, scanId)])
  })

  it('misses nothing that is announced between its claim and its place in the line', async () => {
    const waiter = await aWaiter()
    let scanId = ''
    const behindFirst = async () => {
      scanId = await scanNow()
    }
    expect(await waiter.wait({ behindFirst })).toEqual([wireId(world, scanId)])
  })

  it('is answered after a bounded number of claims that find nothing', async () => {
    const waiter = await aWaiter(['syft'])
    const waiting = waiter.wait()
    let done = false
    waiting.finally(() => {
      done = true
    })
    while (!done) {
      await pool().announce(world.organization.shard, Date.now())
      await new Promise((next) => setTimeout(next, 5))
    }
    expect([await waiting, waiter.claims()]).toEqual([[], 5])
  })

  it('is answered at once by a pool that is out of reach or full, and to who asked for no wait', async () => {
    for (const fetch of [
      () => Promise.reject(new Error('down')),
      async () => new Response(null, { status: 503 }),
    ]) {
      const waiter = await aWaiter()
      const stub = { get: () => ({ fetch, hints: async () => [] }), idFromName: () => '' }
      const broken = new Proxy(waiter.ctx.env, {
        get: (target, name, receiver) =>
          name === 'RUNNER_POOLS' ? stub : Reflect.get(target, name, receiver),
      })
      expect(await waiter.wait({ env: broken })).toEqual([])
    }
    expect(await (await aWaiter()).wait({ seconds: 0 })).toEqual([])
    const sensor = await aWaiter()
    sensor.ctx.credential.agent!.capabilities = '["scan"]'
    expect(await sensor.wait()).toEqual([])
  })
})

describe('the poll over HTTP', () => {
  beforeEach(emptyPools)

  it('hands out a job to a runner that waits for it', async () => {
    const ours = await anOrganization()
    const { host } = await connected(ours)
    const runner = await aHttpRunner()
    const waiting = runner.get(`/api/agent/jobs?agentId=${runner.agentId}&wait=${MAX_WAIT_SECONDS}`)
    await inLine(1)
    const scanId = await dispatched(ours, `${host}/team/app:1.0`)
    expect((await waiting).body.jobs[0].id).toContain(scanId)
  })

  it("hands out a job of any registry that sensors scan to a runner with the organization's key", async () => {
    const ours = await anOrganization()
    const { host } = await connected(ours, 'open', { scanMethod: 'sensor' })
    const runner = await aHttpRunner(ours.adminKey)
    const waiting = runner.get(`/api/agent/jobs?agentId=${runner.agentId}&wait=${MAX_WAIT_SECONDS}`)
    const line = runnerPool(env as unknown as Env, poolOfOrganization(ours.organization.id))
    await until(async () => (await line.waiting()) === 1)
    const scanId = await dispatched(ours, `${host}/team/app:1.0`)
    expect((await waiting).body.jobs[0].id).toContain(scanId)
  })

  it.each(['26', '-1', '1.5', 'x', '999'])('refuses to wait %s seconds', async (wait) => {
    const runner = await aHttpRunner()
    const answer = await runner.get(`/api/agent/jobs?agentId=${runner.agentId}&wait=${wait}`)
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_error'])
  })

  it('is no place for who has no key', async () => {
    expect((await caller(null).get('/api/agent/jobs?wait=25')).status).toBe(401)
  })
})

/** Looks until it is so; the test's own time limit is the bound. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((done) => setTimeout(done, 5))
}
