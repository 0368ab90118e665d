import { env } from 'cloudflare:workers'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import type { WorkMessage } from '../../src/queue.ts'
import { mixed } from '../risk/results.ts'
import { theOperator } from '../world.ts'
import { canonicalState } from './canonical.ts'
import { contradictions } from './invariants.ts'
import { SEED } from './seed.ts'
import { Story } from './story.ts'
import { MINUTE, System } from './system.ts'
import { expectStatus } from './tenant.ts'

const DAY = 24 * 60 * MINUTE
const DEAD = 'harborguard-dead-letters'

let system: System

beforeAll(() => {
  system = new System(Date.now())
})

/** Two scans from their request to their end, with what happens to each batch of messages. */
async function told(happen: (batch: WorkMessage[], turn: number) => WorkMessage[]): Promise<Story> {
  const story = await Story.begin(system)
  for (const image of ['team/app:1.0', 'team/app:latest']) await story.request(image)
  for (let turn = 0; turn < 12; turn++) {
    const batch = happen(
      system.queue.splice(0).map(({ body }) => body),
      turn,
    )
    for (const body of batch) await system.deliver([{ body, attempts: 1 }])
    const job = await story.runner.poll()
    if (job) expectStatus(await story.runner.complete(job), 200)
    if (turn % 4 === 3) {
      system.advance(3 * MINUTE)
      await story.runner.renew(null)
      await system.tick()
    }
  }
  await story.finish()
  return story
}

const FATES: Record<string, (batch: WorkMessage[], turn: number) => WorkMessage[]> = {
  doubled: (batch) => batch.flatMap((message) => [message, message]),
  'doubled much later': (() => {
    const old: WorkMessage[] = []
    return (batch) => {
      old.push(...batch)
      return [...batch, ...old]
    }
  })(),
  reversed: (batch) => batch.toReversed(),
  'held back and reordered': (() => {
    const held: WorkMessage[] = []
    return (batch, turn) => {
      held.push(...batch)
      return turn % 3 === 2 ? held.splice(0).toReversed() : []
    }
  })(),
  'lost, all of the first turns': (batch, turn) => (turn < 6 ? [] : batch),
  'lost one in two': (batch, turn) => batch.filter((_, n) => mixed(SEED, turn, n) % 2 === 0),
}

describe(`messages that are (HG_FAULT_SEED=${SEED})`, () => {
  it.for(Object.keys(FATES))('%s change nothing about how it ends', { timeout: 60_000 }, async (fate) => {
    const undisturbed = await told((batch) => batch)
    const expected = await canonicalState(undisturbed.tenant.organization, undisturbed.tenant.names)
    const { tenant } = await told(FATES[fate]!)
    expect(await canonicalState(tenant.organization, tenant.names)).toEqual(expected)
    expect(await contradictions(tenant.organization)).toEqual([])
  })
})

describe('dead letters', () => {
  let story: Story

  beforeEach(async () => {
    story = await Story.begin(system)
    const { SHARD_00, SHARD_01 } = env as unknown as Env
    for (const shard of [SHARD_00!, SHARD_01!]) await shard.prepare('DELETE FROM dead_letters').run()
  })

  /** Lets what is queued fail at every attempt, until it is dead and its consumer has run. */
  async function die(calls: string) {
    const messages = system.queue.splice(0).map(({ body }) => body)
    await system.under(
      (call) => (call.startsWith(calls) ? 'before' : null),
      async () => {
        for (let attempts = 1; attempts <= 6; attempts++) {
          await system.deliver(messages.map((body) => ({ body, attempts })))
          system.queue.length = 0
        }
      },
    )
    const dead = system.dead.splice(0)
    expect(dead).toHaveLength(messages.length)
    await system.deliver(
      dead.map((body) => ({ body, attempts: 1 })),
      DEAD,
    )
    return messages
  }

  const listed = async (query = '') => {
    const answer = await theOperator.get(`/operator/dead-letters${query}`)
    expect(answer.status, answer.text).toBe(200)
    const { data, meta } = answer.body
    const own = data.filter(
      (letter: { organization: number }) => letter.organization === story.tenant.organization.num,
    )
    return { letters: own, next: meta.next }
  }

  /** What the operator route sent goes to the real queue of the test environment: it is delivered from the outbox here. */
  const deliverReplayed = async () => {
    const promised = await story.tenant.rows<{ message: string }>(
      'SELECT message FROM outbox WHERE org = ?',
      story.tenant.organization.num,
    )
    await system.deliver(promised.map(({ message }) => ({ body: JSON.parse(message), attempts: 1 })))
  }

  it('are listed with kind, ids, attempts and the class of the last error, and hold nothing else', async () => {
    await story.uploaded()
    await die('r2')
    const { letters } = await listed()
    expect(letters).toEqual([
      {
        id: expect.stringMatching(/^out_/),
        kind: 'scan.ingest',
        organization: story.tenant.organization.num,
        ids: { scanId: story.scanId },
        attempts: 6,
        error: 'StorageUnavailable',
        diedAt: new Date(system.now).toISOString(),
        replayedAt: null,
      },
    ])
    const scan = await story.tenant.call('GET', `/api/scans/${story.scanId}`)
    expect(scan.body.data).toMatchObject({ status: 'FAILED', reason: { code: 'ingest_failed' } })
  })

  it('replayed once end the scan as if its message had never died', async () => {
    await story.uploaded()
    await die('r2')
    const [letter] = (await listed()).letters
    const answer = await theOperator.post(`/operator/dead-letters/${letter.id}/replay`)
    expect(answer.body.data).toMatchObject({ id: letter.id, replayedAt: new Date(system.now).toISOString() })
    await deliverReplayed()
    await story.finish()
    const scan = await story.tenant.call('GET', `/api/scans/${story.scanId}`)
    expect(scan.body.data).toMatchObject({ status: 'COMPLETE' })
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('replayed again do nothing, unless they died again', async () => {
    await story.uploaded()
    const [message] = await die('r2')
    const [letter] = (await listed()).letters
    const replay = () => theOperator.post(`/operator/dead-letters/${letter.id}/replay`)
    const first = await replay()
    system.advance(MINUTE)
    expect((await replay()).body).toEqual(first.body)
    const promised = () =>
      story.tenant.rows('SELECT 1 FROM outbox WHERE org = ?', story.tenant.organization.num)
    expect(await promised()).toHaveLength(1)
    await story.tenant.rows('DELETE FROM outbox WHERE org = ?', story.tenant.organization.num)
    await system.deliver([{ body: { ...message!, replayed: true }, attempts: 1 }], DEAD)
    expect((await listed()).letters).toMatchObject([{ id: letter.id, replayedAt: null }])
    system.advance(MINUTE)
    expect((await replay()).body.data.replayedAt).toBe(new Date(system.now).toISOString())
  })

  it('replayed as a kind are given in bounded numbers, each once, until none is left', async () => {
    for (const image of ['team/app:1.0', 'team/app:1.1', 'team/app:latest']) await story.request(image)
    await die('d1')
    const replay = (limit: number) =>
      theOperator.post('/operator/dead-letters/replay', { kind: 'scan.dispatch', limit })
    expect((await replay(2)).body.data).toEqual({ replayed: 2, more: true })
    expect((await replay(2)).body.data).toEqual({ replayed: 1, more: false })
    expect((await replay(2)).body.data).toEqual({ replayed: 0, more: false })
    await deliverReplayed()
    await story.finish()
    const scans = await story.tenant.rows(
      'SELECT status FROM scans WHERE org = ?',
      story.tenant.organization.num,
    )
    expect(scans).toEqual([{ status: 'COMPLETE' }, { status: 'COMPLETE' }, { status: 'COMPLETE' }])
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('are paged newest first, by kind where asked, over every shard', async () => {
    for (const image of ['team/app:1.0', 'team/app:1.1', 'team/app:latest']) {
      await story.request(image)
      await die('d1')
      system.advance(1000)
    }
    const one = await listed('?limit=1&kind=scan.dispatch')
    const two = await listed(`?limit=1&after=${one.next}`)
    const three = await listed(`?limit=1&after=${two.next}`)
    const times = [one, two, three].map(({ letters }) => letters[0].diedAt)
    expect(times).toEqual(times.toSorted().reverse())
    expect(new Set(times).size).toBe(3)
    expect((await listed('?kind=registry.sync')).letters).toEqual([])
    expect(await theOperator.get('/operator/dead-letters?after=nonsense')).toBeProblem(
      400,
      'VALIDATION_ERROR',
    )
  })

  it('are the same 404 for an id that is not there, and for everybody but the operator', async () => {
    expect(await theOperator.post('/operator/dead-letters/out_none/replay')).toBeProblem(404, 'NOT_FOUND')
    expect((await story.tenant.call('GET', '/operator/dead-letters')).status).toBe(404)
  })

  it('never reopen a scan that ended otherwise', async () => {
    await story.uploaded()
    const [message] = system.queue.splice(0)
    await system.deliver([message!])
    await system.deliver([{ body: { ...message!.body, replayed: true }, attempts: 1 }])
    const dispatch: WorkMessage = {
      kind: 'scan.dispatch',
      org: story.tenant.organization.num,
      scanId: story.scanId,
    }
    await system.deliver([{ body: { ...dispatch, replayed: true }, attempts: 1 }])
    const scan = await story.tenant.call('GET', `/api/scans/${story.scanId}`)
    expect(scan.body.data.status).toBe('COMPLETE')
  })

  it('are forgotten after thirty days', async () => {
    await story.request()
    await die('d1')
    expect((await listed()).letters).toHaveLength(1)
    system.advance(30 * DAY)
    await system.tick()
    expect((await listed()).letters).toEqual([])
  })
})
