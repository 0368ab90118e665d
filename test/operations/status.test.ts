import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import { handleScheduled } from '../../src/cron.ts'
import { statement } from '../../src/db/database.ts'
import { directoryDb, newMeter, placedDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { assess, type State } from '../../src/operations/status/assess.ts'
import { gatherFacts } from '../../src/operations/status/facts.ts'
import { sharedState } from '../../src/operations/status/public-state.ts'
import { aHttpRunner } from '../scanning/over-http.ts'
import { aRunner, aScan, aWorld, emptyPools, MINUTE, T0 } from '../scanning/world.ts'
import { anOrganization, nobody, theOperator } from '../world.ts'

const bindings = env as unknown as Env

const withEnv = (changes: Record<string, unknown>): Env =>
  new Proxy(bindings, {
    get: (target, name, receiver) =>
      (name as string) in changes ? changes[name as string] : Reflect.get(target, name, receiver),
  })

/** A database that throws, or that never answers. */
const broken = (batch: () => unknown) => ({
  withSession: () => ({ prepare: () => ({ bind: () => ({}) }), batch }),
})
const failing = broken(() => {
  throw new Error('D1_ERROR: Network connection lost')
})
const silent = broken(() => new Promise(() => {}))

const gather = async (changes: Record<string, unknown> = {}, now = T0, limit?: number) => {
  const meter = newMeter()
  const facts = await gatherFacts(withEnv(changes), now, meter, limit)
  return { facts, meter, ...assess(facts) }
}

const shardRows = (shard: string, sql: string, ...params: (string | number)[]) =>
  placedDb(bindings, shard, newMeter()).run(statement(sql, ...params))

/** `count` jobs and promises of a shard, made as rows. */
async function aBacklog(shard: string, count: number, at: number): Promise<void> {
  const numbers = JSON.stringify(Array.from({ length: count }, (_, index) => index))
  const job = (prefix: string, pool: string, state: string) =>
    shardRows(
      shard,
      `INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, wanted, needs, phase, progress,
                         lease_until, uploaded_at, created_at, updated_at)
       SELECT ?1 || value, 7, ?1 || value, 'reg_x', ?2 || CASE ?2 WHEN 'cloud' THEN '' ELSE value END, ?3, 0, value, 1, 1,
              'queued', 0, ?4, ?4, ?4, ?4 FROM json_each(?5)`,
      prefix,
      pool,
      state,
      at,
      numbers,
    )
  await job('queued', 'cloud', 'queued')
  await job('sensor', 'reg_', 'queued')
  await job('leased', 'cloud', 'leased')
  await job('uploaded', 'cloud', 'uploaded')
  await shardRows(
    shard,
    `INSERT INTO outbox (id, org, message, created_at, next_attempt_at) SELECT 'out' || value, 7, '{}', ?1, ?1 FROM json_each(?2)`,
    at,
    numbers,
  )
  await shardRows(
    shard,
    `INSERT INTO dead_letters (id, org, kind, message, attempts, died_at, replayed_at)
     SELECT 'out' || value, 7, 'scan.ingest', '{}', 6, ?1, NULL FROM json_each(?2)
     UNION ALL SELECT 'replayed' || value, 7, 'scan.ingest', '{}', 6, ?1 - 1, ?1 FROM json_each(?2)`,
    at,
    numbers,
  )
}

beforeEach(async () => {
  await emptyPools()
  for (const table of ['outbox', 'jobs', 'scans', 'dead_letters'])
    for (const shard of ['00', '01']) await shardRows(shard, `DELETE FROM ${table}`)
  await directoryDb(bindings, newMeter()).run(statement('DELETE FROM cron_runs'))
})

describe('a look at the databases', () => {
  it('is one round trip each and few rows, bounded however much waits', async () => {
    const empty = await gather()
    expect(empty.meter).toMatchObject({ roundTrips: 3, rowsWritten: 0 })
    expect(empty.meter.rowsRead).toBeLessThanOrEqual(20)
    const read: number[] = []
    for (const count of [600, 6000]) {
      for (const table of ['jobs', 'outbox', 'dead_letters']) await shardRows('00', `DELETE FROM ${table}`)
      await aBacklog('00', count, T0 - MINUTE)
      const { facts, meter } = await gather()
      expect(meter.roundTrips).toBe(3)
      const { backlogs, sensorQueues } = facts.shards[0]!
      for (const name of ['outbox', 'cloudQueue', 'uploads', 'expiredLeases', 'deadLetters'] as const)
        expect([name, backlogs![name]]).toEqual([
          name,
          { count: 500, isAtLeast: true, oldestAt: T0 - MINUTE },
        ])
      expect(sensorQueues).toHaveLength(50)
      read.push(meter.rowsRead)
    }
    expect(read[0]).toBeLessThanOrEqual(5 * 2 * 501 + 4 * 51 + 20)
    expect(read[1]).toBe(read[0])
  })

  it('finds what waits: promises, queued jobs by pool, results, leases and scans past their time', async () => {
    const world = await aWorld()
    const sensors = await aWorld('sensor')
    const [leased] = [await aScan(world), await aScan(sensors, { image: 'team/s:1' })]
    await (await aRunner()).poll()
    const queued = await aScan(world, { image: 'team/b:1', at: T0 + MINUTE })
    const labelled = await aScan(world, { image: 'team/c:1', at: T0 + MINUTE })
    await world.rows("UPDATE jobs SET pool = 'cloud#eu' WHERE id = ?", labelled)
    const later = T0 + 100 * 60 * MINUTE
    const { facts } = await gather({}, later)
    const shard = facts.shards.find(({ name }) => name === world.organization.shard)!
    const [leaseUntil] = await world.rows<{ lease_until: number }>(
      'SELECT lease_until FROM jobs WHERE id = ?',
      leased,
    )
    const [created] = await world.rows<{ created_at: number }>(
      'SELECT created_at FROM jobs WHERE id = ?',
      queued,
    )
    expect(shard.backlogs).toMatchObject({
      cloudQueue: { count: 2, isAtLeast: false, oldestAt: created!.created_at },
      expiredLeases: { count: 1, oldestAt: leaseUntil!.lease_until },
      uploads: { count: 0, oldestAt: null },
    })
    const overdue = facts.shards.reduce((sum, { backlogs }) => sum + backlogs!.overdueScans.count, 0)
    expect(overdue).toBe(4)
    const queues = facts.shards.flatMap(({ sensorQueues }) => sensorQueues)
    expect(queues).toEqual([{ pool: sensors.registryId, oldestAt: expect.any(Number) }])
    await world.rows("UPDATE jobs SET state = 'uploaded', uploaded_at = ? WHERE id = ?", T0, leased)
    const after = (await gather({}, later)).facts.shards.find(
      ({ name }) => name === world.organization.shard,
    )!
    expect(after.backlogs).toMatchObject({
      expiredLeases: { count: 0 },
      uploads: { count: 1, oldestAt: T0 },
      overdueScans: {
        count: overdue - 1 - (sensors.organization.shard === world.organization.shard ? 0 : 1),
      },
    })
  })

  it('counts the cloud runners that live, by version', async () => {
    await aRunner()
    await aRunner()
    expect((await gather()).facts.runners).toEqual({
      alive: 2,
      versions: { '1.0.0': 2 },
      lastHeartbeatAt: T0,
    })
    const [one] = await directoryDb(bindings, newMeter()).all<{ id: string }>(
      statement('SELECT id FROM agents'),
    )
    await directoryDb(bindings, newMeter()).run(
      statement('UPDATE agents SET disabled_at = 1 WHERE id = ?', one!.id),
    )
    expect((await gather()).facts.runners).toMatchObject({ alive: 1 })
    const late = await gather({}, T0 + 10 * MINUTE)
    expect(late.facts.runners).toEqual({ alive: 0, versions: {}, lastHeartbeatAt: T0 })
  })

  it('reads when the sweeps last ran and which failed; a run that ends late never replaces a later one', async () => {
    const execution = createExecutionContext()
    expect((await gather()).facts.cron).toBeNull()
    await handleScheduled(bindings, execution, T0)
    await handleScheduled(withEnv({ SHARD_01: failing, LOG_LEVEL: 'silent' }), execution, T0 + MINUTE)
    await handleScheduled(bindings, execution, T0)
    const { facts } = await gather()
    expect(facts.cron).toMatchObject({ ranAt: T0 + MINUTE, failures: facts.cron!.failed.length })
    expect(facts.cron!.failed.length).toBeGreaterThan(5)
  })

  it('ends in time and says which database fails or is silent', async () => {
    await handleScheduled(bindings, createExecutionContext(), T0)
    const one = await gather({ SHARD_01: silent }, T0, 20)
    expect([one.state, one.reasons]).toEqual([
      'degraded',
      [
        {
          code: 'database_unreachable',
          severity: 'degraded',
          where: '01',
          message: 'Error: no answer within 20 ms',
        },
      ],
    ])
    const entry = await gather({ DIRECTORY: failing })
    expect(entry.state).toBe('down')
    expect(entry.reasons[0]!.message).toContain('Network connection lost')
    expect((await gather({ SHARD_00: failing, SHARD_01: silent }, T0, 20)).state).toBe('down')
  })
})

describe('GET /api/status', () => {
  let hours = 0
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] })
    vi.setSystemTime(Date.now() + ++hours * 60 * MINUTE) // what another test was told is old
  })
  afterEach(() => void vi.useRealTimers())

  it('tells anybody the state and nothing else, from one look for a flood of calls', async () => {
    await handleScheduled(bindings, createExecutionContext(), Date.now())
    const answers = await Promise.all(Array.from({ length: 20 }, () => nobody.get('/api/status')))
    for (const { status, body, headers } of answers) {
      expect([status, body]).toEqual([200, { status: 'ok' }])
      expect(headers.get('Cache-Control')).toBe('no-store')
    }
    expect(answers.map(({ meter }) => meter.trips).sort()).toEqual([...Array(19).fill(0), 3])
  })

  it('is 503 with Retry-After while it is down, and well again within seconds', async () => {
    await handleScheduled(bindings, createExecutionContext(), Date.now())
    const ask = async (changes = {}) => {
      const request = new Request('https://api.test/api/status')
      const reply = await createApp().fetch(request, withEnv(changes), createExecutionContext())
      return [reply.status, reply.headers.get('Retry-After'), await reply.json()]
    }
    const down = [503, '10', { status: 'down' }]
    expect(await ask({ DIRECTORY: failing })).toEqual(down)
    expect(await ask()).toEqual(down)
    vi.setSystemTime(Date.now() + 10_000)
    expect(await ask()).toEqual([200, null, { status: 'ok' }])
    vi.setSystemTime(Date.now() + 10_000)
    expect(await ask({ SHARD_01: failing })).toEqual([200, null, { status: 'degraded' }])
  })
})

describe('a shared state', () => {
  it('asks again when the request that looked was cancelled', async () => {
    let looks = 0
    const state = sharedState((_: null): Promise<State> => {
      looks++
      return looks === 1 ? new Promise(() => {}) : Promise.resolve('ok' as const)
    }, 100)
    void state(null)
    expect([await state(null), looks]).toEqual(['ok', 2])
  })

  it('asks again after a look that failed', async () => {
    let looks = 0
    const state = sharedState(async (_: null): Promise<State> => {
      if (looks++ === 0) throw new Error('unforeseen')
      return 'degraded'
    })
    await expect(state(null)).rejects.toThrow('unforeseen')
    expect(await state(null)).toBe('degraded')
  })
})

describe('GET /operator/status', () => {
  it('tells operators the reasons and what they rest on, and does not exist for others', async () => {
    const ours = await anOrganization()
    await aHttpRunner()
    const { status, body, meter } = await theOperator.get('/operator/status')
    expect([status, meter.trips, meter.written]).toEqual([200, 3, 0])
    expect(body.data).toMatchObject({
      status: 'degraded',
      reasons: [{ code: 'cron_never_ran', severity: 'degraded', where: 'service' }],
      directory: { name: 'directory', reachable: true },
      runners: { alive: 1, versions: { '1.0.0': 1 } },
      cron: null,
      shards: [
        { name: '00', reachable: true },
        { name: '01', reachable: true },
      ],
    })
    for (const client of [nobody, ours])
      expect(await client.get('/operator/status')).toBeProblem(404, 'NOT_FOUND')
  })
})
