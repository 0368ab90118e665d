import { createExecutionContext, createMessageBatch, getQueueResult } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { endStuckSyncs, startDueSyncs, syncRegistry } from '../../../src/inventory/registries/index.ts'
import { handleQueue, type WorkMessage } from '../../../src/queue.ts'
import { aFakeRegistry } from '../../fake-registry.ts'
import { anOrganization } from '../../world.ts'
import { connect, finishSync, jobContext, promisesOf, readRegistry, silentContext, tagsOf } from './system.ts'

describe('The queue', () => {
  const deliver = async (message: WorkMessage, attempts: number) => {
    const batch = createMessageBatch<WorkMessage>('harborguard-work', [
      { id: 'm1', timestamp: new Date(), attempts, body: message },
    ])
    const execution = createExecutionContext()
    await handleQueue(batch, env as unknown as Env, execution)
    return getQueueResult(batch, execution)
  }

  it('runs a sync to its end and acknowledges it', async () => {
    const { ours, id } = await connect('open')
    await ours.post(`/api/registries/${id}/sync`)
    const message = { kind: 'registry.sync', org: ours.organization.num, registryId: id } as const
    for (let slice = 0; slice < 3; slice++) expect((await deliver(message, 1)).explicitAcks).toEqual(['m1'])
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'idle', status: 'ACTIVE' })
  })

  it('waits as long as the registry asked for, and gives up in the end', async () => {
    const { ours, fake, id } = await connect('open')
    await fake.set({ mode: 'limited' })
    await ours.post(`/api/registries/${id}/sync`)
    const message = { kind: 'registry.sync', org: ours.organization.num, registryId: id } as const
    const early = await deliver(message, 1)
    expect(early.retryMessages).toMatchObject([{ msgId: 'm1' }])
    await expect(syncRegistry(await jobContext(ours), id, 1)).rejects.toMatchObject({ delaySeconds: 30 })
    const late = await deliver(message, 4)
    expect(late.explicitAcks).toEqual(['m1'])
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'idle', status: 'ERROR' })
  })

  it('writes a handful of rows for each slice of a sync that finds nothing new', async () => {
    const { ours, id } = await connect('big')
    await ours.post(`/api/registries/${id}/sync`)
    const meters: { rowsWritten: number; roundTrips: number }[] = []
    while ((await readRegistry(ours, id)).syncStatus !== 'idle') {
      const ctx = await jobContext(ours)
      await syncRegistry(ctx, id, 9)
      meters.push(ctx.db.meter)
    }
    expect(meters.length).toBeGreaterThan(3)
    expect(Math.max(...meters.map(({ rowsWritten }) => rowsWritten))).toBeLessThanOrEqual(6)
    expect(Math.max(...meters.map(({ roundTrips }) => roundTrips))).toBeLessThanOrEqual(3)
  }, 60_000)
})

describe('A sync that finds changes', () => {
  it('reads and writes what it changes, however much else the organization has', async () => {
    const { ours } = await connect('big')
    const content = { 'a/app': { v1: '1', v2: '2', latest: '2' }, 'a/gone': { v1: '1' } }
    const { fake, id } = await connect('open', content, {}, ours)
    await fake.set({ repositories: { 'a/app': { v1: '1', v3: '3', latest: '3' }, 'a/new': { v1: '1' } } })
    await ours.post(`/api/registries/${id}/sync`)
    const meters: { rowsRead: number; rowsWritten: number }[] = []
    while ((await readRegistry(ours, id)).syncStatus !== 'idle') {
      const ctx = await jobContext(ours)
      await syncRegistry(ctx, id, 9)
      meters.push(ctx.db.meter)
    }
    expect(Math.max(...meters.map(({ rowsRead }) => rowsRead))).toBeLessThanOrEqual(150)
    expect(Math.max(...meters.map(({ rowsWritten }) => rowsWritten))).toBeLessThanOrEqual(60)
  })
})

describe('Starting a sync', () => {
  it('runs one at a time however often it is asked for', async () => {
    const { ours, id } = await connect('open')
    const org = ours.organization.num
    const answers = await Promise.all([1, 2, 3, 4].map(() => ours.post(`/api/registries/${id}/sync`)))
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202])
    expect(answers[0]!.headers.get('Location')).toBe(`/api/registries/${id}`)
    const started = await ours.db.all(
      statement(`SELECT id FROM audit_log WHERE org = ? AND action = 'registry.synced'`, org),
    )
    expect(started).toHaveLength(1)
    await finishSync(ours, id)
  })

  it('lets one of two slices at the same place write', async () => {
    const { ours, id } = await connect('open')
    await ours.post(`/api/registries/${id}/sync`)
    const [one, two] = [await jobContext(ours), await jobContext(ours)]
    await Promise.all([syncRegistry(one, id, 9), syncRegistry(two, id, 9)])
    expect(await finishSync(ours, id)).toMatchObject({ status: 'ACTIVE', imageCount: 2 })
  })

  it('is refused for a registry that only its sensor reaches', async () => {
    const ours = await anOrganization()
    const body = { name: 's', provider: 'CUSTOM', url: 'https://10.0.0.1:5000', scanMethod: 'sensor' }
    const { id, syncStatus } = (await ours.post('/api/registries', body)).body.data
    expect(syncStatus).toBe('idle')
    expect(await ours.post(`/api/registries/${id}/sync`)).toBeProblem(409, 'CONFLICT')
  })

  it('happens in the half hour before scheduled scans, once', async () => {
    const { ours, id } = await connect('open')
    const org = ours.organization.num
    const now = Date.now() + 24 * 3_600_000
    await ours.db.run(statement('UPDATE registries SET next_run_at = ? WHERE org = ?', now + 60_000, org))
    const ctx = await silentContext(ours, now)
    await startDueSyncs(ctx, ours.db)
    expect(await promisesOf(ours, 'registry.sync')).not.toEqual([])
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'queued' })
    await finishSync(ours, id)
    await startDueSyncs(ctx, ours.db)
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'idle' })
  })
})

describe('A sync whose message was lost', () => {
  it('ends after six hours, and the registry says so', async () => {
    const { ours, id } = await connect('open')
    const org = ours.organization.num
    const started = statement(
      `UPDATE registries SET sync_state = 'running', sync_started_at = ? WHERE org = ?`,
      ...[Date.now(), org],
    )
    await ours.db.run(started)
    await endStuckSyncs(ours.db, Date.now() + 5 * 3_600_000)
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'running', status: 'ACTIVE' })
    await endStuckSyncs(ours.db, Date.now() + 7 * 3_600_000)
    expect(await readRegistry(ours, id)).toMatchObject({ syncStatus: 'idle', status: 'ERROR' })
  })
})

describe('A registry that is deleted while its catalogue is read', () => {
  it('gets no more images', async () => {
    const ours = await anOrganization()
    const fake = await aFakeRegistry('open')
    const body = { name: 'x', provider: 'CUSTOM', url: fake.url, insecure: true }
    const { id } = (await ours.post('/api/registries', body)).body.data
    await Promise.all([syncRegistry(await jobContext(ours), id, 9), ours.delete(`/api/registries/${id}`)])
    await syncRegistry(await jobContext(ours), id, 9)
    expect(await tagsOf(ours, id)).toEqual([])
  })
})
