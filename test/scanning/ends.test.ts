import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { newMeter, tenantDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { cancelScan } from '../../src/scanning/scans/cancel.ts'
import { deleteScan } from '../../src/scanning/scans/delete.ts'
import { expireOutputs } from '../../src/scanning/scans/expire-outputs.ts'
import { giveUpIngest } from '../../src/scanning/scans/give-up-ingest.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { startDueSchedules } from '../../src/scanning/schedules/due.ts'
import { scheduleRegistryScans } from '../../src/scanning/schedules/schedule-registry.ts'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { putBlob } from '../../src/scanning/sensors/put-blob.ts'
import {
  endOverdueScans,
  endUnrunnableScans,
  forgetDoneJobs,
  repairHints,
  rescueUploads,
} from '../../src/scanning/sweeps.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  complete,
  digestOf,
  emptyPools,
  HOUR,
  jobState,
  MINUTE,
  type Runner,
  refusal,
  resultFor,
  scanState,
  settle,
  T0,
  upload,
  type World,
} from './world.ts'

const shardOf = (world: World) => tenantDb(env as unknown as Env, world.organization.shard, newMeter())!
const DAY = 24 * HOUR

/** Puts a text as a blob of a job; returns its SHA-256. */
async function aBlob(runner: Runner, job: Job, text: string, now = T0 + 1000): Promise<string> {
  const bytes = new TextEncoder().encode(text)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
  await putBlob(baseAt(now), runner.identity, {
    wireId: job.id,
    fence: job.lease.fence,
    sha256,
    size: bytes.length,
    mediaType: 'application/json',
    body: new Response(bytes).body,
  })
  return sha256
}

const stored = async (world: World, sha256: string): Promise<boolean> =>
  (await (env as unknown as Env).ARTIFACTS.head(`orgs/${world.organization.num}/sha256/${sha256}`)) !== null

describe('a scan’s end', () => {
  let world: World
  let runner: Runner

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
  })

  it('is partial when an engine failed, and says why', async () => {
    const scanId = await aScan(world)
    await complete(world, runner, (await runner.poll())!, { failed: ['grype'] })
    const state = await scanState(world, scanId)
    expect(state).toMatchObject({ status: 'COMPLETE', partial: 1 })
    const [row] = await world.rows<{ engines: string }>('SELECT engines FROM scans WHERE id = ?', scanId)
    const engines = JSON.parse(row!.engines) as {
      name: string
      status: string
      reason: { code: string } | null
    }[]
    expect(engines.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'succeeded'])
    expect(engines[1]?.reason?.code).toBe('engine_failed')
  })

  it('says unavailable of an engine that the runner did not have', async () => {
    const scanId = await aScan(world, { scanners: ['trivy', 'grype', 'syft', 'dockle'] })
    await complete(world, runner, (await runner.poll())!)
    expect((await scanState(world, scanId)).partial).toBe(1)
    const [row] = await world.rows<{ engines: string }>('SELECT engines FROM scans WHERE id = ?', scanId)
    expect(JSON.parse(row!.engines)[3]).toMatchObject({
      name: 'dockle',
      status: 'unavailable',
      reason: { code: 'engine_unavailable' },
    })
  })

  it('is FAILED when every engine failed, and the last good result stays', async () => {
    const good = await aScan(world)
    await complete(world, runner, (await runner.poll())!)
    const bad = await aScan(world, { at: T0 + HOUR })
    const again = await aRunner({ at: T0 + HOUR })
    const job = (await again.poll(T0 + HOUR))!
    await complete(world, again, job, { failed: ['trivy', 'grype', 'syft'] }, T0 + HOUR + MINUTE)
    expect(await scanState(world, bad)).toMatchObject({ status: 'FAILED', code: 'all_engines_failed' })
    const shown = 'SELECT critical, high, medium, low, unknown, last_scan_id FROM artifacts WHERE org = ?'
    const [artifact] = await world.rows<{ last_scan_id: string }>(shown, world.organization.num)
    expect(artifact?.last_scan_id).toBe(good)
  })

  it('is FAILED with the runner’s reason when the image could not be pulled', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    const result = resultFor(job, { failed: ['trivy', 'grype', 'syft'] })
    const why = { code: 'registry_forbidden', message: 'The credentials may not pull this image.' }
    const failed = {
      ...result,
      image: null,
      scan: { ...result.scan, reason: why },
      packages: [],
      findings: [],
    }
    await upload(runner, { ...failed, vulnerabilities: [] })
    await ingestScan(world.at(T0 + MINUTE), scanId)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'registry_forbidden' })
  })

  it('is FAILED for a result about anything but its job, which changes nothing', async () => {
    const strange: [string, (job: Job) => unknown][] = [
      ['digest', (job) => resultFor(job, { digest: digestOf('another') })],
      [
        'platform',
        (job) => ({ ...resultFor(job), image: { ...resultFor(job).image, platform: 'linux/arm64' } }),
      ],
      ['job', (job) => ({ ...resultFor(job), findings: [{ engine: 'trivy' }] })],
      ['reference', (job) => ({ ...resultFor(job), packages: [] })],
    ]
    for (const [index, [what, make]] of strange.entries()) {
      const scanId = await aScan(world, { image: `team/app${index}:1` })
      const job = (await runner.poll())!
      await upload(runner, make(job))
      await ingestScan(world.at(T0 + MINUTE), scanId)
      expect([what, await scanState(world, scanId)]).toMatchObject([what, { code: 'result_invalid' }])
    }
    const matches = await world.rows('SELECT 1 FROM matches WHERE org = ?', world.organization.num)
    expect(matches).toHaveLength(0)
  })

  it('copies the counts of its own moment', async () => {
    const scanId = await aScan(world)
    await complete(world, runner, (await runner.poll())!)
    const columns = 'critical, high, medium, low, unknown, risk'
    const [scan] = await world.rows(`SELECT ${columns}, compliance AS grade FROM scans WHERE id = ?`, scanId)
    const [artifact] = await world.rows(
      `SELECT ${columns}, grade FROM artifacts WHERE org = ?`,
      world.organization.num,
    )
    expect(scan).toEqual(artifact)
    const [image] = await world.rows(
      `SELECT ${columns}, grade FROM images WHERE org = ?`,
      world.organization.num,
    )
    expect(image).toEqual(artifact)
  })

  it.each([10, 100])(
    'of an unchanged rescan of %i findings writes seven rows beside the lease’s',
    async (findings) => {
      const shape = { packages: 100, findings }
      await aScan(world)
      await complete(world, runner, (await runner.poll())!, shape)
      const at = T0 + HOUR
      const scanId = await aScan(world, { at })
      const again = await aRunner({ at })
      await upload(again, resultFor((await again.poll(at))!, shape), at)
      const ctx = world.at(at + MINUTE)
      await ingestScan(ctx, scanId)
      const lease = 2 // the job's row, and the index by which it is forgotten
      expect(ctx.db.meter.rowsWritten).toBeLessThanOrEqual(7 + lease)
      expect(ctx.db.meter.roundTrips).toBeLessThanOrEqual(3)
    },
  )

  it('comes once although the ingest message comes twice at once', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    await upload(runner, resultFor(job))
    await Promise.all([1, 2, 3].map(() => ingestScan(world.at(T0 + MINUTE), scanId)))
    expect((await scanState(world, scanId)).status).toBe('COMPLETE')
    const [state] = await world.rows<{ seq: number }>(
      'SELECT seq FROM ingest_state WHERE org = ?',
      world.organization.num,
    )
    expect(state?.seq).toBe(1)
  })

  it('is ingest_failed when its message is dead, unless it was stored after all', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    await upload(runner, resultFor(job))
    await giveUpIngest(world.at(T0 + HOUR), scanId)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'ingest_failed' })
    await ingestScan(world.at(T0 + HOUR), scanId)
    expect((await scanState(world, scanId)).status).toBe('FAILED')
    const other = await aScan(world, { image: 'team/b:1' })
    await complete(world, runner, (await runner.poll())!)
    await giveUpIngest(world.at(T0 + HOUR), other)
    expect((await scanState(world, other)).status).toBe('COMPLETE')
  })
})

describe('bounds', () => {
  let world: World
  let runner: Runner

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
  })

  it('end a scan that nobody took with no_runner after 24 hours, and no earlier', async () => {
    const scanId = await aScan(world)
    await endOverdueScans(shardOf(world), T0 + DAY - 1)
    expect((await scanState(world, scanId)).status).toBe('PENDING')
    await endOverdueScans(shardOf(world), T0 + DAY)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'no_runner' })
    expect((await jobState(world, scanId))?.state).toBe('done')
    expect(await runner.poll(T0 + DAY)).toBeNull()
  })

  it('end a scan with timeout 60 minutes after its first claim, however often it was claimed', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll(T0 + 5 * HOUR))!
    expect((await scanState(world, scanId)).deadline_at).toBe(T0 + 6 * HOUR)
    await world.rows("UPDATE jobs SET state = 'queued' WHERE id = ?", scanId)
    await runner.poll(T0 + 5 * HOUR + 30 * MINUTE)
    expect((await scanState(world, scanId)).deadline_at).toBe(T0 + 6 * HOUR)
    await endOverdueScans(shardOf(world), T0 + 6 * HOUR)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'timeout' })
    expect(await refusal(upload(runner, resultFor(job), T0 + 6 * HOUR))).toBe('lease_lost')
  })

  it('leave a result that has arrived to the ingest, which is asked again and given up after two hours', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    await upload(runner, resultFor(job))
    await world.rows('DELETE FROM outbox WHERE org = ?', world.organization.num)
    await endOverdueScans(shardOf(world), T0 + 2 * HOUR)
    expect((await scanState(world, scanId)).status).toBe('IN_PROGRESS')
    await rescueUploads(shardOf(world), T0 + HOUR)
    await rescueUploads(shardOf(world), T0 + HOUR)
    const outbox = await world.rows<{ message: string }>(
      'SELECT message FROM outbox WHERE org = ?',
      world.organization.num,
    )
    expect(outbox.map(({ message }) => JSON.parse(message).kind)).toEqual(['scan.ingest'])
    await rescueUploads(shardOf(world), T0 + 3 * HOUR)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'ingest_failed' })
  })

  it('end a waiting scan once runners are live and none offers an engine for it', async () => {
    await emptyPools()
    const scanId = await aScan(world, { scanners: ['dive'] })
    const directory = baseAt(T0).directory
    await endUnrunnableScans(directory, shardOf(world), T0 + 10 * MINUTE)
    expect((await scanState(world, scanId)).status).toBe('PENDING')
    await aRunner({ at: T0 + 10 * MINUTE })
    await endUnrunnableScans(directory, shardOf(world), T0 + 10 * MINUTE)
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'engine_unavailable' })
  })

  it('announce pools with work, and forget jobs that are done for days', async () => {
    const scanId = await aScan(world)
    const { shard } = world.organization
    expect(await repairHints(world.at(T0).env, shardOf(world), shard, T0)).toBe(1)
    await complete(world, runner, (await runner.poll())!)
    expect(await repairHints(world.at(T0).env, shardOf(world), shard, T0)).toBe(0)
    await forgetDoneJobs(shardOf(world), T0 + DAY)
    expect(await jobState(world, scanId)).not.toBeNull()
    await forgetDoneJobs(shardOf(world), T0 + 4 * DAY)
    expect(await jobState(world, scanId)).toBeNull()
    expect((await scanState(world, scanId)).status).toBe('COMPLETE')
  })
})

describe('cancelling', () => {
  let world: World
  let runner: Runner

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
  })

  const cancel = async (scanId: string, at = T0 + 1000) => {
    const { job_id: jobId } = await scanState(world, scanId)
    await cancelScan(world.at(at), { id: scanId, jobId })
  }

  it('a queued scan takes its job out of the queue', async () => {
    const scanId = await aScan(world)
    await cancel(scanId)
    expect((await scanState(world, scanId)).status).toBe('CANCELLED')
    expect(await runner.poll()).toBeNull()
  })

  it('a follower cancels only itself', async () => {
    const leader = await aScan(world)
    const follower = await aScan(world, { at: T0 + 1 })
    await cancel(follower)
    expect((await scanState(world, follower)).status).toBe('CANCELLED')
    const job = (await runner.poll())!
    await complete(world, runner, job)
    expect((await scanState(world, leader)).status).toBe('COMPLETE')
    expect((await scanState(world, follower)).status).toBe('CANCELLED')
  })

  it('a leader hands its running job to the first follower, which gets the result with the others', async () => {
    const leader = await aScan(world)
    const [heir, other] = [await aScan(world, { at: T0 + 1 }), await aScan(world, { at: T0 + 2 })]
    const job = (await runner.poll())!
    const sha256 = await aBlob(runner, job, '{"handed":"over"}')
    await cancel(leader)
    expect((await scanState(world, leader)).status).toBe('CANCELLED')
    expect(await scanState(world, heir)).toMatchObject({
      leader_id: null,
      job_id: leader,
      status: 'IN_PROGRESS',
    })
    expect((await scanState(world, other)).leader_id).toBe(heir)
    const result = resultFor(job)
    result.engines[0]!.raw = { sha256, size: 17 }
    expect((await upload(runner, result)).scanId).toBe(heir)
    await ingestScan(world.at(T0 + MINUTE), leader)
    expect((await scanState(world, heir)).status).toBe('COMPLETE')
    expect((await scanState(world, other)).status).toBe('COMPLETE')
    const [row] = await world.rows<{ blobs: string }>('SELECT blobs FROM scans WHERE id = ?', heir)
    expect(JSON.parse(row!.blobs)['raw/trivy'].sha256).toBe(sha256)
  })

  it('the last of them ends the job', async () => {
    const [leader, follower] = [await aScan(world), await aScan(world, { at: T0 + 1 })]
    await cancel(leader)
    await cancel(follower)
    expect(await runner.poll()).toBeNull()
  })
})

describe('deleting', () => {
  let world: World
  let runner: Runner

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
  })

  async function aScanWithBlob(text: string, at = T0): Promise<{ scanId: string; sha256: string }> {
    const scanId = await aScan(world, { at })
    const each = await aRunner({ at })
    const job = (await each.poll(at))!
    const sha256 = await aBlob(each, job, text, at)
    const result = resultFor(job)
    result.engines[0]!.raw = { sha256, size: text.length }
    await upload(each, result, at + MINUTE)
    await ingestScan(world.at(at + MINUTE), scanId)
    return { scanId, sha256 }
  }

  it('keeps a blob that another scan names, and deletes it with the last', async () => {
    const first = await aScanWithBlob('{"same":true}')
    const second = await aScanWithBlob('{"same":true}', T0 + HOUR)
    expect(first.sha256).toBe(second.sha256)
    await deleteScan(world.at(T0 + 2 * HOUR), first.scanId)
    await settle()
    expect(await stored(world, first.sha256)).toBe(true)
    await deleteScan(world.at(T0 + 3 * HOUR), second.scanId)
    await settle()
    expect(await stored(world, first.sha256)).toBe(false)
    expect(
      await world.rows('SELECT 1 FROM blob_deletions WHERE org = ?', world.organization.num),
    ).toHaveLength(0)
  })

  it('leaves what a follower shares readable', async () => {
    const leader = await aScan(world)
    const follower = await aScan(world, { at: T0 + 1 })
    const job = (await runner.poll())!
    const sha256 = await aBlob(runner, job, '{"shared":1}')
    const result = resultFor(job)
    result.engines[0]!.raw = { sha256, size: 12 }
    await upload(runner, result)
    await ingestScan(world.at(T0 + MINUTE), leader)
    await deleteScan(world.at(T0 + HOUR), leader)
    await settle()
    expect(await stored(world, sha256)).toBe(true)
    const [row] = await world.rows<{ blobs: string }>('SELECT blobs FROM scans WHERE id = ?', follower)
    expect(JSON.parse(row!.blobs)['raw/trivy'].sha256).toBe(sha256)
  })

  it('takes no blob that is being deleted until it is gone', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    const text = '{"leaving":1}'
    const sha256 = await aBlob(runner, job, text)
    const mark = 'INSERT INTO blob_deletions (org, object_key, created_at) VALUES (?, ?, 0)'
    await world.rows(mark, world.organization.num, `orgs/${world.organization.num}/sha256/${sha256}`)
    expect(await refusal(aBlob(runner, job, text))).toBe('SERVICE_UNAVAILABLE')
    expect(await scanState(world, scanId)).toMatchObject({ status: 'IN_PROGRESS' })
  })

  it('names no blob that its own runner did not upload', async () => {
    const { sha256 } = await aScanWithBlob('{"mine":1}')
    const scanId = await aScan(world, { at: T0 + HOUR })
    const thief = await aRunner({ at: T0 + HOUR })
    const job = (await thief.poll(T0 + HOUR))!
    const result = resultFor(job)
    result.engines[0]!.raw = { sha256, size: 10 }
    await upload(thief, result, T0 + HOUR)
    await ingestScan(world.at(T0 + HOUR), scanId)
    const [row] = await world.rows<{ blobs: string }>('SELECT blobs FROM scans WHERE id = ?', scanId)
    expect(JSON.parse(row!.blobs)).toEqual({})
  })

  it('lets go of raw outputs beyond the last three scans and thirty days', async () => {
    const made = []
    for (let i = 0; i < 4; i++) made.push(await aScanWithBlob(`{"n":${i}}`, T0 + i * HOUR))
    expect(await expireOutputs(world.at(T0 + 29 * DAY), made[3]!.scanId)).toBe(0)
    expect(await expireOutputs(world.at(T0 + 31 * DAY), made[3]!.scanId)).toBe(1)
    expect(await expireOutputs(world.at(T0 + 31 * DAY), made[3]!.scanId)).toBe(0)
    const kept = await Promise.all(made.map(({ sha256 }) => stored(world, sha256)))
    expect(kept).toEqual([false, true, true, true])
  })
})

describe('schedules', () => {
  beforeEach(emptyPools)

  it('start due registries once, at their next time', async () => {
    const world = await aWorld()
    await world.rows(
      "UPDATE registries SET schedule = 'daily', next_run_at = ? WHERE id = ?",
      T0,
      world.registryId,
    )
    const starts = async (now: number) => {
      const base = baseAt(now, world.sent)
      await startDueSchedules(base, shardOf(world))
      await settle()
      return world.sent.filter(({ kind }) => kind === 'registry.schedule').length
    }
    expect(await starts(T0 - 1)).toBe(0)
    expect(await starts(T0)).toBe(1)
    expect(await starts(T0 + MINUTE)).toBe(1)
    expect(await starts(T0 + DAY)).toBe(2)
  })

  it('ask for each tag that the filters admit, in slices, and for none in flight', async () => {
    const world = await aWorld()
    const runner = await aRunner()
    for (let i = 0; i < 60; i++) {
      await aScan(world, { image: `team/app:${i < 30 ? 'v' : 'dev-'}${i}` })
    }
    for (let job = await runner.poll(); job; job = await runner.poll()) await complete(world, runner, job)
    await world.rows(
      "UPDATE registries SET include_tags = 'v*', exclude_tags = 'v1,v2' WHERE id = ?",
      world.registryId,
    )
    world.sent.length = 0
    const at = T0 + HOUR
    const first = await scheduleRegistryScans(world.at(at), world.registryId, null)
    await settle()
    const rest = world.sent.find(({ kind }) => kind === 'registry.schedule')
    expect(rest).toMatchObject({ after: { repository: 'team/app' } })
    const after = (rest as { after: { repository: string; tag: string } }).after
    expect(first + (await scheduleRegistryScans(world.at(at), world.registryId, after))).toBe(28)
    expect(await scheduleRegistryScans(world.at(at), world.registryId, null)).toBe(0)
  })
})
