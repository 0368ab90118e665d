import { beforeEach, describe, expect, it } from 'vitest'
import { RetryLater } from '../../src/retry-later.ts'
import { dispatchScan } from '../../src/scanning/scans/dispatch.ts'
import { requestScan } from '../../src/scanning/scans/request.ts'
import {
  accessDown,
  accessTo,
  aRunner,
  aScan,
  aWorld,
  complete,
  emptyPools,
  HOUR,
  jobState,
  MINUTE,
  scanState,
  T0,
  type World,
} from './world.ts'

interface TagRow {
  id: string
  name: string
  digest: string
  artifact: number | null
}

describe('dispatching a scan', () => {
  let world: World

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
  })

  it('changes nothing when its message comes again', async () => {
    const scanId = await aScan(world)
    const before = [await scanState(world, scanId), await jobState(world, scanId)]
    const ctx = world.at(T0 + MINUTE)
    await dispatchScan(ctx, scanId, 2, accessTo())
    expect([await scanState(world, scanId), await jobState(world, scanId)]).toEqual(before)
    expect(ctx.db.meter.rowsWritten).toBe(0)
  })

  it('writes image, tag and artifact once, however many scans there are', async () => {
    await aScan(world)
    await aScan(world, { at: T0 + 1000 })
    const counted = async (table: string) =>
      (
        await world.rows<{ n: number }>(
          `SELECT count(*) AS n FROM ${table} WHERE org = ?`,
          world.organization.num,
        )
      )[0]!.n
    for (const table of ['images', 'tags', 'artifacts', 'tag_artifacts']) expect(await counted(table)).toBe(1)
    const [image] = await world.rows('SELECT * FROM images WHERE org = ?', world.organization.num)
    expect(image).toMatchObject({ tag_count: 1, latest_tag: '1.0', name: `${world.host}/team/app` })
  })

  it('lets a tag follow the image it points at, and asks for its old artifact to be retired', async () => {
    const runner = await aRunner()
    await aScan(world)
    await complete(world, runner, (await runner.poll())!)
    const tag = async () =>
      (await world.rows<TagRow>('SELECT * FROM tags WHERE org = ?', world.organization.num))[0]!
    const before = await tag()
    expect(before.artifact).not.toBeNull()
    await aScan(world, { at: T0 + HOUR, access: accessTo({ 'team/app:1.0': 'rebuilt' }) })
    const after = await tag()
    expect(after.digest).not.toBe(before.digest)
    expect(after.artifact).toBeNull()
    const [image] = await world.rows('SELECT * FROM images WHERE org = ?', world.organization.num)
    expect(image).toMatchObject({ latest_artifact: null, critical: null, grade: null, tag_count: 1 })
    const outbox = await world.rows<{ message: string }>(
      'SELECT message FROM outbox WHERE org = ?',
      world.organization.num,
    )
    expect(outbox.filter(({ message }) => message.includes('artifacts.retire'))).toHaveLength(1)
    await aScan(world, { at: T0 + 2 * HOUR })
    expect((await tag()).artifact).toBe(before.artifact)
  })

  it('shows the tag called latest, else the one that moved last', async () => {
    const latest = async () =>
      (
        await world.rows<{ latest_tag: string }>(
          'SELECT latest_tag FROM images WHERE org = ?',
          world.organization.num,
        )
      )[0]!.latest_tag
    await aScan(world, { image: 'team/app:1.0', at: T0 })
    await aScan(world, { image: 'team/app:1.1', at: T0 + MINUTE })
    expect(await latest()).toBe('1.1')
    await aScan(world, { image: 'team/app:1.0', at: T0 + 2 * MINUTE })
    expect(await latest()).toBe('1.1')
    await aScan(world, { image: 'team/app:latest', at: T0 + 3 * MINUTE })
    await aScan(world, { image: 'team/app:1.2', at: T0 + 4 * MINUTE })
    expect(await latest()).toBe('latest')
  })

  it('asks for another delivery while the registry is down, and gives up at the fourth', async () => {
    const asked = { image: `${world.host}/team/app:1.0`, scanners: ['trivy'], trigger: 'manual' } as const
    const { scanId } = await requestScan(world.at(T0), asked)
    for (const attempt of [1, 2, 3]) {
      await expect(dispatchScan(world.at(T0), scanId, attempt, accessDown)).rejects.toBeInstanceOf(RetryLater)
    }
    await dispatchScan(world.at(T0), scanId, 4, accessDown)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'registry_error' })
  })

  it('waits while no runner is live, and fails when none of the live ones offers an engine', async () => {
    const waits = await aScan(world, { scanners: ['dockle'] })
    expect((await scanState(world, waits)).status).toBe('PENDING')
    await aRunner({ engines: ['trivy'] })
    const fails = await aScan(world, { scanners: ['dockle'], image: 'team/b:1' })
    expect(await scanState(world, fails)).toMatchObject({ status: 'FAILED', code: 'engine_unavailable' })
  })

  it('gives a job to the runner with most of its engines first, and to any after five minutes', async () => {
    const [few, all] = [await aRunner({ engines: ['trivy'] }), await aRunner()]
    await aScan(world)
    expect(await few.poll()).toBeNull()
    expect((await all.poll())?.scan.scanners).toEqual(['trivy', 'grype', 'syft'])
    await aScan(world, { image: 'team/b:1' })
    expect(await few.poll(T0 + MINUTE)).toBeNull()
    expect((await few.poll(T0 + 6 * MINUTE))?.scan.scanners).toEqual(['trivy'])
  })

  it('hands no job to a runner without a key or an engine for it', async () => {
    await aScan(world, { scanners: ['grype'] })
    expect(await (await aRunner({ engines: ['syft'] })).poll(T0 + HOUR)).toBeNull()
  })

  it('fails a scan whose registry was disconnected before it began', async () => {
    const asked = { image: `${world.host}/team/app:1.0`, scanners: ['trivy'], trigger: 'manual' } as const
    const { scanId } = await requestScan(world.at(T0), asked)
    await world.rows("UPDATE registries SET status = 'DELETING' WHERE id = ?", world.registryId)
    await dispatchScan(world.at(T0), scanId, 1, accessTo())
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'registry_removed' })
  })
})

describe('coalescing', () => {
  let world: World

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
  })

  it('lets a scan of a digest in flight follow its job, and end with it', async () => {
    const runner = await aRunner()
    const leader = await aScan(world)
    const follower = await aScan(world, { image: 'team/app:1.0', at: T0 + 1000, scanners: ['trivy'] })
    expect(await scanState(world, follower)).toMatchObject({
      leader_id: leader,
      job_id: null,
      status: 'PENDING',
    })
    const job = (await runner.poll())!
    expect((await scanState(world, follower)).status).toBe('IN_PROGRESS')
    expect(await runner.poll()).toBeNull()
    const late = await aScan(world, { at: T0 + 2000 })
    expect(await scanState(world, late)).toMatchObject({ leader_id: leader, status: 'IN_PROGRESS' })
    await complete(world, runner, job)
    for (const scan of [leader, follower, late]) {
      expect(await scanState(world, scan)).toMatchObject({ status: 'COMPLETE', deadline_at: null })
    }
  })

  it('joins by manifest, whatever tag was asked for', async () => {
    const access = accessTo({ 'team/app:1.0': 'same', 'team/app:stable': 'same' })
    const leader = await aScan(world, { access })
    const follower = await aScan(world, { image: 'team/app:stable', access })
    expect((await scanState(world, follower)).leader_id).toBe(leader)
  })

  it('makes a job of its own for more engines, another repository or another organization', async () => {
    const access = accessTo({ 'team/app:1.0': 'same', 'team/copy:1.0': 'same' })
    await aScan(world, { access, scanners: ['trivy'] })
    const more = await aScan(world, { access, scanners: ['trivy', 'grype'] })
    const copy = await aScan(world, { access, image: 'team/copy:1.0', scanners: ['trivy'] })
    const theirs = await aWorld()
    const foreign = await aScan(theirs, { access, scanners: ['trivy'] })
    expect((await jobState(world, more))?.state).toBe('queued')
    expect((await jobState(world, copy))?.state).toBe('queued')
    expect((await jobState(theirs, foreign))?.state).toBe('queued')
  })

  it('makes a job of its own when the earlier one has ended', async () => {
    const runner = await aRunner()
    await aScan(world)
    await complete(world, runner, (await runner.poll())!)
    const later = await aScan(world, { at: T0 + HOUR })
    expect(await scanState(world, later)).toMatchObject({ leader_id: null, status: 'PENDING' })
  })

  it('lets what a person asked for pull the schedule’s job ahead', async () => {
    const scheduled = await aScan(world, { trigger: 'schedule' })
    expect((await jobState(world, scheduled))?.priority).toBe(2)
    await aScan(world, { trigger: 'manual' })
    expect((await jobState(world, scheduled))?.priority).toBe(0)
  })
})

describe('the queue’s order', () => {
  beforeEach(emptyPools)

  const claimed = async (worlds: World[], count: number) => {
    const runner = await aRunner()
    const order: number[] = []
    for (let i = 0; i < count; i++) {
      const job = await runner.poll(T0 + 1000)
      order.push(
        worlds.findIndex(({ organization }) => job!.id.includes(`-${organization.num.toString(36)}-`)),
      )
    }
    return order
  }

  /** Two organizations of one shard. */
  async function twoWorlds(): Promise<[World, World]> {
    const first = await aWorld()
    for (;;) {
      const second = await aWorld()
      if (second.organization.shard === first.organization.shard) return [first, second]
    }
  }

  it('takes turns between organizations however many jobs each has', async () => {
    const [many, few] = await twoWorlds()
    for (let i = 0; i < 6; i++) await aScan(many, { image: `team/a${i}:1`, at: T0 + i })
    for (let i = 0; i < 2; i++) await aScan(few, { image: `team/b${i}:1`, at: T0 + 100 + i })
    expect(await claimed([many, few], 8)).toEqual([0, 1, 0, 1, 0, 0, 0, 0])
  })

  it('puts a newcomer level with the first in the queue, not before what is claimed', async () => {
    const [old, fresh] = await twoWorlds()
    for (let i = 0; i < 6; i++) await aScan(old, { image: `team/a${i}:1`, at: T0 + i })
    await claimed([old, fresh], 3)
    for (let i = 0; i < 3; i++) await aScan(fresh, { image: `team/b${i}:1`, at: T0 + 100 + i })
    expect(await claimed([old, fresh], 6)).toEqual([0, 1, 0, 1, 0, 1])
  })

  it('puts what a person asked for ahead of what a schedule asked for', async () => {
    const [scheduled, manual] = await twoWorlds()
    for (let i = 0; i < 3; i++) {
      await aScan(scheduled, { image: `team/a${i}:1`, at: T0 + i, trigger: 'schedule' })
    }
    await aScan(manual, { image: 'team/b:1', at: T0 + 100 })
    expect(await claimed([scheduled, manual], 4)).toEqual([1, 0, 0, 0])
  })

  it('finds work on every shard without a hint', async () => {
    const first = await aWorld()
    let second = await aWorld()
    while (second.organization.shard === first.organization.shard) second = await aWorld()
    await aScan(first)
    await aScan(second)
    expect((await claimed([first, second], 2)).sort()).toEqual([0, 1])
  })
})
