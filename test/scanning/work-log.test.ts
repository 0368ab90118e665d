import { createExecutionContext, createMessageBatch, waitOnExecutionContext } from 'cloudflare:test'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { handleScheduled } from '../../src/cron.ts'
import { shardNames } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { handleQueue, type WorkMessage } from '../../src/queue.ts'
import { requestScan } from '../../src/scanning/scans/request.ts'
import { aFakeRegistry } from '../fake-registry.ts'
import { catchLog, type LogLines } from '../log-lines.ts'
import { aWorld, baseAt, emptyPools, settle, T0, type World } from './world.ts'

let log: LogLines
beforeEach(async () => {
  await emptyPools()
  log = catchLog()
})
afterEach(() => void vi.restoreAllMocks())

const points: AnalyticsEngineDataPoint[] = []

/** The bindings of tests with a dataset that remembers, and some of them replaced. */
function bindings(changes: Record<string, unknown> = {}): Env {
  points.length = 0
  const METRICS = { writeDataPoint: (point: AnalyticsEngineDataPoint) => void points.push(point) }
  const all: Record<string, unknown> = { METRICS, ...changes }
  return new Proxy(baseAt(T0).env, {
    get: (target, name, receiver) =>
      (name as string) in all ? all[name as string] : Reflect.get(target, name, receiver),
  })
}

async function consume(body: WorkMessage, queue = 'harborguard-work', attempts = 1): Promise<void> {
  const batch = createMessageBatch<WorkMessage>(queue, [{ id: 'm', timestamp: new Date(), attempts, body }])
  const execution = createExecutionContext()
  await handleQueue(batch, bindings(), execution)
  await waitOnExecutionContext(execution)
}

/** A message that asks for the dispatch of a scan at a registry that answers as `mode` says. */
async function aDispatch(world: World, mode: 'open' | 'error'): Promise<WorkMessage & { scanId: string }> {
  const { host, url } = await aFakeRegistry(mode)
  await world.rows('UPDATE registries SET host = ?, url = ? WHERE id = ?', host, url, world.registryId)
  const scan = { image: `${host}/team/app:1.0`, scanners: ['trivy'] as const, trigger: 'manual' as const }
  const { scanId } = await requestScan(world.at(T0), { ...scan, scanners: [...scan.scanners] })
  await settle()
  const message = world.sent.find((sent) => 'scanId' in sent && sent.scanId === scanId)
  return message as WorkMessage & { scanId: string }
}

it('one line and one data point a delivery: whose, which kind and ids, how it ended, what it cost', async () => {
  const world = await aWorld()
  const organization = world.organization.id
  const answered = await aDispatch(world, 'open')
  await consume(answered, 'harborguard-work', 2)
  expect(log.of('message')).toEqual([
    expect.objectContaining({
      ...{ level: 'info', organization, kind: 'scan.dispatch', outcome: 'handled', attempts: 2 },
      ...{ scanId: answered.scanId, ms: expect.any(Number), requestId: expect.stringMatching(/^req_/) },
    }),
  ])
  const { roundTrips, rowsRead, rowsWritten } = log.of('message')[0]!
  expect([roundTrips > 1, rowsRead > 1, rowsWritten > 1]).toEqual([true, true, true])
  expect(points).toEqual([
    expect.objectContaining({
      ...{ indexes: [organization], blobs: ['message', 'scan.dispatch', 'handled', organization] },
      doubles: [expect.any(Number), roundTrips, rowsRead, rowsWritten],
    }),
  ])
})

it("a delivery that is tried again, is dead, or is nobody's, is one line of its level", async () => {
  const world = await aWorld()
  const organization = world.organization.id
  const unanswered = await aDispatch(world, 'error')
  await consume(unanswered)
  await consume(unanswered, 'harborguard-dead-letters')
  await consume({ kind: 'scan.dispatch', org: 999_999, scanId: 'scn_x' })
  await consume({ kind: 'nonsense', org: world.organization.num } as unknown as WorkMessage)
  const seen = log.of('message').map((line) => [line.level, line.outcome, line.kind, line.organization])
  expect(seen).toEqual([
    ['warn', 'retried', 'scan.dispatch', organization],
    ['error', 'dead', 'scan.dispatch', organization],
    ['error', 'unroutable', 'scan.dispatch', null],
    ['error', 'unroutable', 'nonsense', organization],
  ])
  expect(log.of('message')[0]).toMatchObject({
    delaySeconds: 10,
    error: expect.stringContaining('RetryLater'),
  })
})

it('one line and one data point a cron run, which names the sweeps that failed', async () => {
  const execution = createExecutionContext()
  await handleScheduled(bindings(), execution, T0)
  expect(log.of('cron')).toEqual([
    expect.objectContaining({ level: 'info', kind: 'every_minute', outcome: 'done', failures: 0 }),
  ])
  expect(points.map(({ blobs }) => blobs)).toEqual([['cron', 'every_minute', 'done', '']])
  const broken = {
    withSession: () => ({
      prepare: () => {
        throw new Error('D1_ERROR: Network connection lost')
      },
    }),
  }
  await handleScheduled(bindings({ SHARD_01: broken }), execution, T0)
  await waitOnExecutionContext(execution)
  expect(shardNames(bindings())).toEqual(['00', '01'])
  const [, line] = log.of('cron')
  expect(line).toMatchObject({ level: 'error', outcome: 'failed', failures: line!.failed.length })
  expect(line!.failed.length).toBeGreaterThan(5)
  for (const text of line!.failed) expect(text).toMatch(/^01\/[a-z]+\.[a-z]+: /)
})
