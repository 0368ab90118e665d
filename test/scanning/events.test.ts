import { evictDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Context } from '../../src/context.ts'
import { scanViewers } from '../../src/db/objects.ts'
import type { Env } from '../../src/env.ts'
import { jobWireId } from '../../src/ids.ts'
import { MAX_STREAMS } from '../../src/scanning/scan-viewers.ts'
import { cancelScan } from '../../src/scanning/scans/cancel.ts'
import { dispatchScan } from '../../src/scanning/scans/dispatch.ts'
import { giveUpIngest } from '../../src/scanning/scans/give-up-ingest.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { readScanStatus } from '../../src/scanning/scans/read.ts'
import { endScansOfRegistry } from '../../src/scanning/scans/remove-registry.ts'
import { requestScan } from '../../src/scanning/scans/request.ts'
import { ScanStatus } from '../../src/scanning/scans/schemas.ts'
import { streamScan } from '../../src/scanning/scans/stream.ts'
import { expireLeases } from '../../src/scanning/sensors/expire-leases.ts'
import type { Job, JobProgress } from '../../src/scanning/sensors/protocol.ts'
import { renewLeases } from '../../src/scanning/sensors/renew.ts'
import { reportStatus } from '../../src/scanning/sensors/report-status.ts'
import { endOverdueScans, endUnrunnableScans } from '../../src/scanning/sweeps.ts'
import { type BlockReader, readBlocks, type StreamEvent } from '../event-stream.ts'
import { anOrganization, caller, type TestOrganization } from '../world.ts'
import { aCompleteScan, aHttpRunner, connected, dispatched, poll } from './over-http.ts'
import {
  accessTo,
  aRunner,
  aScan,
  aWorld,
  baseAt,
  emptyPools,
  HOUR,
  jobIdOf,
  MINUTE,
  type Runner,
  resultFor,
  settle,
  T0,
  upload,
  type World,
} from './world.ts'

/** A clock that a test moves: `pass` ends the waits that are going on. */
function aClock(now = T0) {
  let waits: (() => void)[] = []
  return {
    waits: () => waits.length,
    now: () => now,
    timer: (milliseconds: number, signal: AbortSignal) =>
      new Promise<void>((done) => {
        const end = () => {
          now += milliseconds
          done()
        }
        waits.push(end)
        signal.addEventListener('abort', () => done())
      }),
    pass: () => {
      const ended = waits
      waits = []
      for (const end of ended) end()
    },
  }
}

/** A clock on which no wait ever ends by itself: what comes was told. */
const standing = () => aClock()

interface Following extends BlockReader {
  ctx: Context
  status: number
  headers: Headers
}

async function follow(
  world: World,
  scanId: string,
  options: {
    lastEventId?: string
    clock?: ReturnType<typeof aClock>
    client?: AbortSignal
    ctx?: Context
  } = {},
): Promise<Following> {
  const { lastEventId = null, clock = standing(), client = new AbortController().signal } = options
  const ctx = options.ctx ?? world.at(T0)
  const { body, status, headers } = await streamScan(ctx, { scanId, lastEventId, client }, clock)
  return { ...readBlocks(body ?? new Blob([]).stream()), ctx, status, headers }
}

const stateOf = ({ data }: StreamEvent) => ScanStatus.parse(JSON.parse(data))
const numberOf = ({ id }: StreamEvent) => Number(id.split('-')[0])

const beat = async (runner: Runner, job: Job, progress: JobProgress, at = T0 + 1000) => {
  const { id, lease } = job
  await renewLeases(baseAt(at), runner.identity, { jobs: [{ id, fence: lease.fence, progress }] })
  await settle()
}

const scanning = (progress: number): JobProgress => ({ phase: 'scanning', progress, engines: [] })

describe('the stream of a scan', () => {
  let world: World
  let runner: Runner
  let scanId: string

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
    scanId = await aScan(world)
  })

  it('says each change as it is told, as the status says it, and ends with the scan', async () => {
    const stream = await follow(world, scanId)
    expect(await stream.next()).toEqual({ kind: 'retry', milliseconds: 3000 })
    const events = [(await stream.event())!]
    const job = (await runner.poll())!
    await beat(runner, job, scanning(40))
    events.push((await stream.event())!)
    expect(stateOf(events[1]!)).toEqual(await readScanStatus(world.at(T0), scanId))
    await upload(runner, resultFor(job))
    events.push((await stream.event())!)
    await ingestScan(world.at(T0 + MINUTE), scanId)
    await settle()
    events.push((await stream.event())!)
    expect(events.map((event) => [event.event, stateOf(event).phase, stateOf(event).progress])).toEqual([
      ['progress', 'queued', 0],
      ['progress', 'scanning', 40],
      ['progress', 'ingesting', 90],
      ['end', 'done', 100],
    ])
    expect(await stream.next()).toBeNull()
    const numbers = events.map(numberOf)
    expect(numbers).toEqual([...new Set(numbers)].toSorted((one, other) => one - other))
  })

  it.each<[string, (job: Job) => Promise<unknown>, string]>([
    ['a cancellation', async () => cancelScan(world.at(T0), { id: scanId, jobId: scanId }), 'CANCELLED'],
    [
      "a runner's failure",
      async (job) =>
        reportStatus(baseAt(T0 + 1000), runner.identity, job.id, {
          status: 'failed',
          fence: job.lease.fence,
        }),
      'FAILED',
    ],
    [
      'the sweep of overdue scans',
      async () => {
        const { db } = world.at(T0)
        await endOverdueScans(db, T0 + 24 * HOUR, tellFrom(world))
      },
      'FAILED',
    ],
  ])('ends by %s', async (_, end, status) => {
    const job = (await runner.poll())!
    const stream = await follow(world, scanId)
    await stream.event()
    await end(job)
    await settle()
    const last = (await stream.event())!
    expect([last.event, stateOf(last).status]).toEqual(['end', status])
    expect(await stream.next()).toBeNull()
  })

  it('ends by a registry that is removed, and by a result that could not be stored', async () => {
    const job = (await runner.poll())!
    const stream = await follow(world, scanId)
    await stream.event()
    await upload(runner, resultFor(job))
    await stream.event()
    await giveUpIngest(world.at(T0 + MINUTE), scanId)
    await settle()
    expect(stateOf((await stream.event())!).status).toBe('FAILED')
    const other = await aScan(world, { image: 'team/other:1' })
    const second = await follow(world, other)
    await second.event()
    await endScansOfRegistry(world.at(T0 + MINUTE), world.registryId, 10)
    await settle()
    expect((await second.event())?.event).toBe('end')
  })

  it('says that a scan was dispatched, and that nobody can run it', async () => {
    const asked = {
      image: `${world.host}/team/late:1`,
      scanners: ['trivy' as const],
      trigger: 'manual' as const,
    }
    const late = (await requestScan(world.at(T0), asked)).scanId
    const stream = await follow(world, late)
    expect(stateOf((await stream.event())!).phase).toBe('resolving')
    await dispatchScan(world.at(T0), late, 1, accessTo())
    await settle()
    expect(stateOf((await stream.event())!).phase).toBe('queued')
    const at = T0 + HOUR
    await aRunner({ engines: ['syft'], at })
    const { db, directory } = world.at(at)
    await endUnrunnableScans(directory, db, at, tellFrom(world))
    await settle()
    expect((await stream.event())?.event).toBe('end')
  })

  it('says that a lost lease put the scan back', async () => {
    await runner.poll()
    const stream = await follow(world, scanId)
    await stream.event()
    await expireLeases(world.at(T0).db, T0 + HOUR, 10, tellFrom(world))
    await settle()
    expect(stateOf((await stream.event())!).phase).toBe('queued')
  })

  it("shows a follower its leader's progress from the moment that it joins", async () => {
    const follower = await aScan(world)
    const stream = await follow(world, follower)
    await stream.event()
    await beat(runner, (await runner.poll())!, scanning(30))
    expect(stateOf((await stream.event())!)).toMatchObject({ id: follower, phase: 'scanning', progress: 30 })
    await cancelScan(world.at(T0), { id: follower, jobId: null })
    await settle()
    expect(stateOf((await stream.event())!).status).toBe('CANCELLED')
  })

  it('goes on by itself where a message is lost, and says meanwhile that it lives', async () => {
    const clock = aClock()
    const stream = await follow(world, scanId, { clock })
    await stream.event()
    const quiet = stream.next()
    await until(() => clock.waits() > 0)
    clock.pass()
    expect(await quiet).toEqual({ kind: 'comment' })
    await world.rows("UPDATE jobs SET progress = 55, phase = 'scanning' WHERE id = ?", scanId)
    const late = stream.event()
    await until(() => clock.waits() > 0)
    clock.pass()
    expect(stateOf((await late)!).progress).toBe(55)
    expect(clock.now() - T0).toBeLessThanOrEqual(2 * 15_000)
  })

  it('is woken by an object that slept meanwhile', async () => {
    const stream = await follow(world, scanId)
    await stream.event()
    await evictDurableObject(viewers(world))
    await beat(runner, (await runner.poll())!, scanning(20))
    expect(stateOf((await stream.event())!).progress).toBe(20)
  })

  it('looks by itself where the object that wakes it was lost, and is woken by the next', async () => {
    const clock = aClock()
    const stream = await follow(world, scanId, { clock })
    await stream.event()
    const quiet = stream.next()
    await until(() => clock.waits() > 0)
    await evictDurableObject(viewers(world), { webSockets: 'close' })
    await until(() => clock.waits() > 1)
    clock.pass()
    expect(await quiet).toEqual({ kind: 'comment' })
    const next = stream.event()
    await until(async () => (await openSockets(world)) === 1)
    await beat(runner, (await runner.poll())!, scanning(20))
    expect(stateOf((await next)!).progress).toBe(20)
  })

  it('begins where a client left it: no state twice, none missed', async () => {
    const first = await follow(world, scanId)
    const seen = (await first.event())!
    await first.cancel()
    const again = await follow(world, scanId, { lastEventId: seen.id })
    expect(await again.next()).toEqual({ kind: 'retry', milliseconds: 3000 })
    await beat(runner, (await runner.poll())!, scanning(10))
    const next = (await again.event())!
    expect(stateOf(next).progress).toBe(10)
    await again.cancel()
    await upload(runner, resultFor({ ...(await jobOf()), platform: 'linux/amd64' }))
    const later = await follow(world, scanId, { lastEventId: next.id, clock: aClock(T0 - HOUR) })
    const missed = (await later.event())!
    expect(stateOf(missed).phase).toBe('ingesting')
    expect([numberOf(next) > numberOf(seen), numberOf(missed) > numberOf(next)]).toEqual([true, true])
  })

  it('takes an id that nobody gave for none', async () => {
    for (const lastEventId of ['', 'x', '7', `${T0 + 48 * HOUR}-0123456789abcdef`, '-', '1-'.repeat(9)]) {
      const stream = await follow(world, scanId, { lastEventId })
      expect(numberOf((await stream.event())!)).toBe(T0)
      await stream.cancel()
    }
  })

  it('of a scan that has ended is its end, and nothing for who has seen it', async () => {
    await cancelScan(world.at(T0), { id: scanId, jobId: scanId })
    const stream = await follow(world, scanId)
    const end = (await stream.event())!
    expect(end.event).toBe('end')
    expect(await stream.next()).toBeNull()
    const again = await follow(world, scanId, { lastEventId: end.id })
    expect([again.status, await again.next()]).toEqual([204, null])
  })

  it('closes after its time, between two events', async () => {
    const clock = aClock()
    const stream = await follow(world, scanId, { clock })
    const passing = setInterval(clock.pass, 5)
    let blocks = 0
    while ((await stream.next()) !== null) blocks++
    clearInterval(passing)
    expect(clock.now() - T0).toBe(5 * MINUTE)
    expect(blocks).toBeLessThanOrEqual(2 + (5 * MINUTE) / 15_000)
  })

  it('ends with its client, and leaves its place to others', async () => {
    const client = new AbortController()
    const stream = await follow(world, scanId, { client: client.signal })
    await stream.event()
    const next = stream.next()
    client.abort()
    expect(await next).toBeNull()
    await until(async () => (await openSockets(world)) === 0)
  })

  it('costs one read of few rows for what is told, none for what is told to others', async () => {
    const other = await aScan(world, { image: 'team/other:1' })
    const stream = await follow(world, scanId)
    await stream.event()
    expect(stream.ctx.directory.meter).toMatchObject({ roundTrips: 2, rowsWritten: 0 })
    const job = (await runner.poll())!
    await cancelScan(world.at(T0), { id: other, jobId: other })
    await settle()
    const before = { ...stream.ctx.directory.meter }
    const next = stream.event()
    await beat(runner, job, scanning(40))
    await next
    const { roundTrips, rowsRead, rowsWritten } = stream.ctx.directory.meter
    expect([roundTrips - before.roundTrips, rowsWritten]).toEqual([1, 0])
    expect(rowsRead - before.rowsRead).toBeLessThanOrEqual(4)
  })

  const jobOf = async (): Promise<Job> => {
    const [row] = await world.rows<{ fence: number; digest: string }>(
      'SELECT fence, digest FROM jobs WHERE id = ?',
      await jobIdOf(world, scanId),
    )
    const id = jobWireId(world.organization.shard, world.organization.num, scanId)
    return {
      id,
      digest: row!.digest,
      lease: { fence: row!.fence, seconds: 120 },
      scan: { imageRef: '' },
    } as unknown as Job
  }
})

describe('streams of an organization', () => {
  it('are bounded: the next one is refused, and taken once another has gone', async () => {
    const world = await aWorld()
    const scanId = await aScan(world)
    const open: Following[] = []
    for (let i = 0; i < MAX_STREAMS; i++) open.push(await follow(world, scanId))
    const refused = await follow(world, scanId).catch((error) => error)
    expect([refused.code, Number(refused.headers['Retry-After']) > 0]).toEqual(['RATE_LIMITED', true])
    await open[0]!.cancel()
    await until(async () => (await openSockets(world)) < MAX_STREAMS)
    const stream = await follow(world, scanId)
    expect((await stream.event())?.event).toBe('progress')
  })
})

describe('the stream over HTTP', () => {
  let ours: TestOrganization

  beforeEach(async () => {
    await emptyPools()
    ours = await anOrganization()
  })

  const open = async (path: string, headers: Record<string, string> = {}) => {
    const response = await exports.default.fetch(
      new Request(`https://api.test${path}`, {
        headers: { Authorization: `Bearer ${ours.adminKey}`, ...headers },
      }),
    )
    return { response, ...readBlocks(response.body ?? new Blob([]).stream()) }
  }

  it('has headers that proxies respect, and brings a running scan to its end', async () => {
    const { host } = await connected(ours)
    const runner = await aHttpRunner()
    const scanId = await dispatched(ours, `${host}/team/app:1.0`)
    const { response, ...stream } = await open(`/api/scans/${scanId}/events`)
    expect(response.status).toBe(200)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': expect.stringMatching(/^req_/),
    })
    expect(stateOf((await stream.event())!).phase).toBe('queued')
    const job = await poll(runner)
    expect(stateOf((await stream.event())!).status).toBe('IN_PROGRESS')
    await runner.post(`/api/agent/jobs/${job.id}/status`, { status: 'failed', fence: job.lease.fence })
    const end = (await stream.event())!
    expect([end.event, stateOf(end).status, await stream.next()]).toEqual(['end', 'FAILED', null])
    for (const [query, headers] of [
      [`?lastEventId=${end.id}`, {}],
      ['', { 'Last-Event-ID': end.id }],
      ['?lastEventId=1-0123456789abcdef', { 'Last-Event-ID': end.id }],
    ] as const)
      expect((await open(`/api/scans/${scanId}/events${query}`, headers)).response.status).toBe(204)
  })

  it('answers problems before it begins', async () => {
    const { host } = await connected(ours)
    const { scanId } = await aCompleteScan(ours, await aHttpRunner(), `${host}/team/app:1.0`)
    const path = `/api/scans/${scanId}/events`
    const theirs = await anOrganization()
    const hidden = await theirs.get(path)
    expect(hidden).toBeProblem(404, 'NOT_FOUND')
    expect(hidden.text).toBe((await theirs.get('/api/scans/scn_00000000000000000000/events')).text)
    expect((await caller(null).get(path)).status).toBe(401)
    expect(await ours.get(`${path}?lastEventId=${'x'.repeat(65)}`)).toBeProblem(400, 'VALIDATION_ERROR')
    const head = await ours.send('HEAD', path)
    expect([head.status, head.headers.get('Content-Type'), head.text]).toEqual([200, 'text/event-stream', ''])
  })

  it('takes three round trips to begin', async () => {
    const { host } = await connected(ours)
    const scanId = await dispatched(ours, `${host}/team/app:1.0`)
    await ours.get('/api/scans')
    const { response, cancel } = await open(`/api/scans/${scanId}/events`)
    expect(response.headers.get('Server-Timing')).toMatch(/trips=2 read=\d written=0/)
    await cancel()
  })
})

const viewers = (world: World) => scanViewers(env as unknown as Env, world.organization.num)
const openSockets = (world: World): Promise<number> => viewers(world).open()

const tellFrom = (world: World) => (org: number, ids: readonly (string | null)[]) => {
  const named = ids.filter((id) => id !== null)
  world.at(T0).defer(scanViewers(env as unknown as Env, org).changed(named))
}

/** Looks until it is so; the test's own time limit is the bound. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((done) => setTimeout(done, 5))
}
