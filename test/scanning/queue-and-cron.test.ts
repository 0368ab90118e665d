import {
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  getQueueResult,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { handleScheduled } from '../../src/cron.ts'
import type { Env } from '../../src/env.ts'
import { handleQueue, type WorkMessage } from '../../src/queue.ts'
import { requestScan } from '../../src/scanning/scans/request.ts'
import { expireLeases } from '../../src/scanning/sensors/expire-leases.ts'
import { LEASE_SECONDS } from '../../src/scanning/sensors/protocol.ts'
import { aFakeRegistry } from '../fake-registry.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  emptyPools,
  HOUR,
  jobState,
  MINUTE,
  resultFor,
  scanState,
  settle,
  T0,
  upload,
  type World,
} from './world.ts'

async function consume(messages: WorkMessage[], queue = 'harborguard-work', attempts = 1) {
  const batch = createMessageBatch<WorkMessage>(
    queue,
    messages.map((body, index) => ({ id: `m${index}`, timestamp: new Date(), attempts, body })),
  )
  const execution = createExecutionContext()
  await handleQueue(batch, baseAt(Date.now()).env, execution)
  await waitOnExecutionContext(execution)
  return getQueueResult(batch, execution)
}

/** A world whose registry answers. */
async function aReachableWorld(mode: 'open' | 'error' | 'slow' = 'open'): Promise<World> {
  const world = await aWorld()
  const { host, url } = await aFakeRegistry(mode)
  await world.rows('UPDATE registries SET host = ?, url = ? WHERE id = ?', host, url, world.registryId)
  return { ...world, host }
}

const ask = async (world: World, image: string, now = T0): Promise<WorkMessage> => {
  const { scanId } = await requestScan(world.at(now), {
    image: `${world.host}/${image}`,
    scanners: ['trivy', 'grype', 'syft'],
    trigger: 'manual',
  })
  await settle()
  return world.sent.find((message) => 'scanId' in message && message.scanId === scanId)!
}

const outbox = (world: World) =>
  world.rows<{ id: string; next_attempt_at: number }>(
    'SELECT id, next_attempt_at FROM outbox WHERE org = ?',
    world.organization.num,
  )

describe('the queue', () => {
  let world: World

  beforeEach(async () => {
    await emptyPools()
    world = await aReachableWorld()
  })

  it('handles each message by itself: one that fails holds up no other', async () => {
    const broken = await aReachableWorld('error')
    const messages = [await ask(broken, 'team/app:1.0'), await ask(world, 'team/app:1.0')]
    const result = await consume(messages)
    expect(result.explicitAcks).toEqual(['m1'])
    expect(result.retryMessages).toEqual([{ msgId: 'm0' }])
  })

  it('dispatches no scan behind another: one whose registry is slow holds up none', async () => {
    const slow = await aReachableWorld('slow')
    const settled: string[] = []
    const messages = [await ask(slow, 'team/app:1.0'), await ask(world, 'team/app:1.0')].map((body, at) => ({
      ...{ id: `m${at}`, timestamp: new Date(), attempts: 1, body },
      ack: () => settled.push(`m${at} done`),
      retry: () => settled.push(`m${at} again`),
    }))
    const execution = createExecutionContext()
    const batch = { queue: 'harborguard-work', messages } as unknown as MessageBatch<WorkMessage>
    const patient = { ...baseAt(Date.now()).env, REGISTRY_TIMEOUT_MS: '5000' } // far longer than a dispatch
    await handleQueue(batch, patient, execution)
    await waitOnExecutionContext(execution)
    expect(settled).toEqual(['m1 done', 'm0 again'])
  })

  it('forgets the promise of a handled message and keeps that of one to be tried again', async () => {
    const broken = await aReachableWorld('error')
    await consume([await ask(world, 'team/app:1.0'), await ask(broken, 'team/app:1.0')])
    expect(await outbox(world)).toHaveLength(0)
    expect(await outbox(broken)).toHaveLength(1)
  })

  it('changes nothing by a message that comes twice, in any order', async () => {
    const runner = await aRunner()
    const dispatch = await ask(world, 'team/app:1.0')
    await consume([dispatch, dispatch])
    await consume([dispatch])
    const scanId = (dispatch as { scanId: string }).scanId
    expect(await jobState(world, scanId)).toMatchObject({ state: 'queued', fence: 0 })
    const job = (await runner.poll())!
    await upload(runner, resultFor(job), T0 + MINUTE, world.sent)
    const ingest = world.sent.find(({ kind }) => kind === 'scan.ingest')!
    await consume([ingest, dispatch, ingest])
    await consume([dispatch, ingest])
    expect((await scanState(world, scanId)).status).toBe('COMPLETE')
    const [state] = await world.rows<{ seq: number }>(
      'SELECT seq FROM ingest_state WHERE org = ?',
      world.organization.num,
    )
    expect(state?.seq).toBe(1)
  })

  it('ends the scan of a dead letter with the reason of its kind', async () => {
    const dispatch = await ask(world, 'team/app:1.0')
    await consume([dispatch], 'harborguard-dead-letters')
    const scanId = (dispatch as { scanId: string }).scanId
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'dispatch_failed' })
    const other = await aScan(world, { image: 'team/b:1' })
    const runner = await aRunner()
    await upload(runner, resultFor((await runner.poll())!), T0 + MINUTE, world.sent)
    await consume([world.sent.find(({ kind }) => kind === 'scan.ingest')!], 'harborguard-dead-letters')
    expect(await scanState(world, other)).toMatchObject({ status: 'FAILED', code: 'ingest_failed' })
  })

  it('leaves a scan alone whose dead letter was late', async () => {
    const dispatch = await ask(world, 'team/app:1.0')
    await consume([dispatch])
    await consume([dispatch], 'harborguard-dead-letters')
    expect((await scanState(world, (dispatch as { scanId: string }).scanId)).status).toBe('PENDING')
  })

  it('lets go of messages of organizations and kinds that are not there', async () => {
    const result = await consume([
      { kind: 'scan.dispatch', org: 999_999, scanId: 'scn_x' },
      { kind: 'nonsense', org: world.organization.num } as unknown as WorkMessage,
    ])
    expect(result.explicitAcks).toEqual(['m0', 'm1'])
  })

  it('carries ids and kinds only', async () => {
    const message = await ask(world, 'team/app:1.0')
    expect(Object.keys(message).sort()).toEqual(['kind', 'org', 'outboxId', 'scanId'])
  })
})

describe('the cron', () => {
  beforeEach(emptyPools)

  const tick = async (now: number, sent: WorkMessage[] = []) => {
    const execution = createExecutionContext()
    await handleScheduled(
      baseAt(now, sent).env,
      execution,
      createScheduledController({ scheduledTime: now }).scheduledTime,
    )
    await waitOnExecutionContext(execution)
    return sent
  }

  it('sends a lost message again, less often the older it is', async () => {
    const world = await aReachableWorld()
    const message = await ask(world, 'team/app:1.0')
    expect(await tick(T0 + MINUTE)).not.toContainEqual(message)
    expect(await tick(T0 + 3 * MINUTE)).toContainEqual(message)
    expect((await outbox(world))[0]?.next_attempt_at).toBe(T0 + 6 * MINUTE)
    expect(await tick(T0 + 4 * MINUTE)).not.toContainEqual(message)
    expect(await tick(T0 + 7 * MINUTE)).toContainEqual(message)
  })

  it('makes an expired lease claimable again, and tells the pool', async () => {
    const world = await aWorld()
    const scanId = await aScan(world)
    await (await aRunner()).poll()
    await tick(T0 + LEASE_SECONDS * 1000)
    expect((await jobState(world, scanId))?.state).toBe('queued')
    const hints = (env as unknown as Env).RUNNER_POOLS.getByName('cloud').hints(T0 + LEASE_SECONDS * 1000)
    expect(await hints).toContain(world.organization.shard)
  })

  it('ends every scan within its bound, with one tick after it', async () => {
    const world = await aWorld()
    const [waiting, running] = [await aScan(world), await aScan(world, { image: 'team/b:1' })]
    await world.rows(
      "UPDATE jobs SET state = 'leased', lease_until = ? WHERE id = ?",
      T0 + 48 * HOUR,
      running,
    )
    await world.rows('UPDATE scans SET started_at = ?, deadline_at = ? WHERE id = ?', T0, T0 + HOUR, running)
    await tick(T0 + 24 * HOUR)
    expect((await scanState(world, waiting)).code).toBe('no_runner')
    expect((await scanState(world, running)).code).toBe('timeout')
  })

  it('does the same when two ticks overlap', async () => {
    const world = await aWorld()
    const scanId = await aScan(world)
    await (await aRunner()).poll()
    await Promise.all([tick(T0 + HOUR), tick(T0 + HOUR)])
    expect(await jobState(world, scanId)).toMatchObject({ leases: 1, fence: 1 })
    const { db } = world.at(T0 + HOUR)
    expect(await expireLeases(db, T0 + HOUR, 10)).toEqual({ requeued: [], lost: 0 })
  })
})
