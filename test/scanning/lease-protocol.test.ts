import { beforeEach, describe, expect, it } from 'vitest'
import { tenantDb } from '../../src/db/shards.ts'
import { cancelScan } from '../../src/scanning/scans/cancel.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { expireLeases } from '../../src/scanning/sensors/expire-leases.ts'
import { type Job, LEASE_SECONDS, MAX_LEASES } from '../../src/scanning/sensors/protocol.ts'
import { putBlob } from '../../src/scanning/sensors/put-blob.ts'
import { renewLeases } from '../../src/scanning/sensors/renew.ts'
import { reportStatus } from '../../src/scanning/sensors/report-status.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  emptyPools,
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

const LEASE = LEASE_SECONDS * 1000
const AFTER = T0 + LEASE + 1

const blob = (runner: Runner, job: Job, now = T0 + 1000) =>
  putBlob(baseAt(now), runner.identity, {
    wireId: job.id,
    fence: job.lease.fence,
    sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    size: 0,
    mediaType: 'application/json',
    body: new Response(new Uint8Array()).body ?? new ReadableStream({ start: (c) => c.close() }),
  })

const beat = (runner: Runner, job: Job, now = T0 + 1000, progress?: number) =>
  renewLeases(baseAt(now), runner.identity, {
    agentId: runner.agentId,
    jobs: [
      {
        id: job.id,
        fence: job.lease.fence,
        ...(progress !== undefined && { progress: { phase: 'scanning' as const, progress, engines: [] } }),
      },
    ],
  }).then(({ jobs }) => jobs[0]!)

const report = (
  runner: Runner,
  job: Job,
  status: 'completed' | 'failed' | 'cancelled' | 'released',
  now = T0 + 1000,
) => reportStatus(baseAt(now), runner.identity, job.id, { status, fence: job.lease.fence, error: 'broken' })

const expire = (world: World, now: number) =>
  expireLeases(
    tenantDb(world.at(now).env, world.organization.shard, world.at(now).directory.meter)!,
    now,
    100,
  )

/** What the five calls of the old holder are answered. */
async function callsOf(runner: Runner, job: Job, now: number) {
  const { leaseSeconds } = await beat(runner, job, now)
  return {
    heartbeat: leaseSeconds === 0 ? 'lost' : 'renewed',
    blob: await refusal(blob(runner, job, now)),
    upload: await refusal(upload(runner, resultFor(job), now)),
    failed: await refusal(report(runner, job, 'failed', now)),
    released: await refusal(report(runner, job, 'released', now)),
  }
}

const LOST = {
  heartbeat: 'lost',
  blob: 'lease_lost',
  upload: 'lease_lost',
  failed: 'lease_lost',
  released: 'lease_lost',
}

describe('the lease protocol', () => {
  let world: World
  let runner: Runner
  let job: Job
  let scanId: string

  beforeEach(async () => {
    await emptyPools()
    world = await aWorld()
    runner = await aRunner()
    scanId = await aScan(world)
    job = (await runner.poll())!
    expect(job).not.toBeNull()
  })

  it('leases a queued job once, with a fence and a duration', async () => {
    expect(job.lease).toEqual({ fence: 1, seconds: LEASE_SECONDS })
    expect(job.scan.scanners).toEqual(['trivy', 'grype', 'syft'])
    expect(job.scan.imageRef).toBe(`${world.host}/team/app@${job.digest}`)
    expect(await jobState(world, scanId)).toMatchObject({ state: 'leased', fence: 1, leases: 1 })
    expect((await scanState(world, scanId)).status).toBe('IN_PROGRESS')
    expect(await runner.poll()).toBeNull()
  })

  it('gives one job to one of many polls at once', async () => {
    await aScan(world, { image: 'team/other:1' })
    const runners = await Promise.all(Array.from({ length: 8 }, () => aRunner()))
    const claimed = await Promise.all(runners.map((each) => each.poll()))
    expect(claimed.filter((each) => each !== null)).toHaveLength(1)
  })

  it('extends the lease by heartbeats and stores progress that never falls', async () => {
    expect(await beat(runner, job, T0 + 100_000, 40)).toEqual({
      id: job.id,
      leaseSeconds: LEASE_SECONDS,
      cancel: false,
    })
    await beat(runner, job, T0 + 101_000, 20)
    expect(await jobState(world, scanId)).toMatchObject({ progress: 40, phase: 'scanning' })
  })

  it('writes nothing for a heartbeat that says nothing new while the lease is long', async () => {
    await beat(runner, job, T0 + 10_000, 10)
    const base = baseAt(T0 + 20_000)
    const before = base.directory.meter.rowsWritten
    await renewLeases(base, runner.identity, {
      jobs: [{ id: job.id, fence: 1, progress: { phase: 'scanning', progress: 10, engines: [] } }],
    })
    expect(base.directory.meter.rowsWritten - before).toBe(0)
  })

  it('answers the old holder of a queued job with lease_lost and changes nothing', async () => {
    await expire(world, AFTER)
    const before = await jobState(world, scanId)
    expect(before).toMatchObject({ state: 'queued', leases: 1, fence: 1 })
    expect(await callsOf(runner, job, AFTER)).toEqual(LOST)
    expect(await jobState(world, scanId)).toEqual(before)
  })

  it('answers the old holder of a stolen lease with lease_lost and changes nothing', async () => {
    await expire(world, AFTER)
    const thief = await aRunner({ at: AFTER })
    const stolen = (await thief.poll(AFTER))!
    expect(stolen.lease.fence).toBe(2)
    const before = await jobState(world, scanId)
    expect(await callsOf(runner, job, AFTER + 1000)).toEqual(LOST)
    expect(await jobState(world, scanId)).toEqual(before)
    expect(await refusal(upload(thief, resultFor(stolen), AFTER + 2000))).toBeNull()
  })

  it('refuses a lease that has run out before any sweep saw it', async () => {
    expect(await callsOf(runner, job, AFTER)).toEqual(LOST)
  })

  it("refuses another runner's calls with the right fence", async () => {
    const stranger = await aRunner()
    expect(await callsOf(stranger, job, T0 + 1000)).toEqual(LOST)
    expect(await refusal(report(stranger, job, 'completed'))).toBe('lease_lost')
    expect(await jobState(world, scanId)).toMatchObject({ state: 'leased', fence: 1 })
  })

  it('refuses ids that are no job, another shard or another organization', async () => {
    for (const id of ['nonsense', 'zz-1-scn_00000000000000000000', job.id.replace(/-\w+-/, '-zzz-')]) {
      expect(await callsOf(runner, { ...job, id }, T0 + 1000)).toEqual(LOST)
    }
  })

  it('gives the same answer to a doubled upload and ingests once', async () => {
    const result = resultFor(job)
    const first = await upload(runner, result)
    expect(first).toMatchObject({ ok: true, scanId })
    expect(await upload(runner, result)).toEqual(first)
    await ingestScan(world.at(T0 + MINUTE), scanId)
    expect(await upload(runner, result)).toEqual(first)
    await ingestScan(world.at(T0 + MINUTE), scanId)
    expect((await scanState(world, scanId)).status).toBe('COMPLETE')
    const messages = await world.rows<{ message: string }>(
      'SELECT message FROM outbox WHERE org = ?',
      world.organization.num,
    )
    expect(messages.filter(({ message }) => message.includes('scan.ingest'))).toHaveLength(1)
  })

  it('keeps one stored envelope of a doubled upload', async () => {
    const result = resultFor(job)
    await upload(runner, result)
    await upload(runner, result)
    const prefix = `orgs/${world.organization.num}/results/`
    expect((await world.at(T0).env.ARTIFACTS.list({ prefix })).objects).toHaveLength(1)
  })

  it('ignores failed, released and completed after an upload, and takes no more blobs', async () => {
    await upload(runner, resultFor(job))
    for (const status of ['failed', 'released', 'completed', 'cancelled'] as const) {
      expect(await refusal(report(runner, job, status, T0 + 2 * MINUTE))).toBeNull()
    }
    expect(await refusal(blob(runner, job, T0 + MINUTE))).toBe('lease_lost')
    expect((await beat(runner, job, T0 + MINUTE)).leaseSeconds).toBe(0)
    expect((await jobState(world, scanId))?.state).toBe('uploaded')
    await ingestScan(world.at(T0 + MINUTE), scanId)
    expect((await scanState(world, scanId)).status).toBe('COMPLETE')
  })

  it('ends the scan FAILED with the reason a runner reports', async () => {
    await reportStatus(baseAt(T0 + 1000), runner.identity, job.id, {
      status: 'failed',
      fence: 1,
      reason: { code: 'image_too_large', message: 'It has 90 GB.' },
    })
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'image_too_large' })
    expect((await jobState(world, scanId))?.state).toBe('done')
    expect(await refusal(report(runner, job, 'failed'))).toBeNull()
  })

  it('files a reason outside the catalogue under runner_error', async () => {
    await reportStatus(baseAt(T0 + 1000), runner.identity, job.id, {
      status: 'failed',
      fence: 1,
      reason: { code: 'made_up', message: 'x' },
    })
    expect((await scanState(world, scanId)).code).toBe('runner_error')
  })

  it('queues a released job again without counting a lost runner', async () => {
    await report(runner, job, 'released')
    expect(await jobState(world, scanId)).toMatchObject({ state: 'queued', leases: 0, fence: 1 })
    await settle()
    const again = (await runner.poll(T0 + 2000))!
    expect(again.lease.fence).toBe(2)
    expect(again.id).toBe(job.id)
  })

  it('queues a job that its runner cancelled without anybody asking', async () => {
    await report(runner, job, 'cancelled')
    expect((await jobState(world, scanId))?.state).toBe('queued')
    expect((await scanState(world, scanId)).status).toBe('IN_PROGRESS')
  })

  it('ends a scan after three lost runners', async () => {
    let now = T0
    for (let lost = 1; lost < MAX_LEASES; lost++) {
      now += LEASE + 1
      expect(await expire(world, now)).toMatchObject({ lost: 0, requeued: ['cloud'] })
      expect((await (await aRunner({ at: now })).poll(now))?.lease.fence).toBe(lost + 1)
    }
    now += LEASE + 1
    expect(await expire(world, now)).toMatchObject({ lost: 1 })
    expect(await scanState(world, scanId)).toMatchObject({ status: 'FAILED', code: 'runner_lost' })
    expect(await expire(world, now)).toEqual({ requeued: [], lost: 0 })
  })

  it('does not expire a lease that was renewed after the sweep looked', async () => {
    await beat(runner, job, T0 + 100_000, 50)
    expect(await expire(world, AFTER)).toEqual({ requeued: [], lost: 0 })
    expect((await jobState(world, scanId))?.state).toBe('leased')
  })

  it('carries a cancellation back by heartbeat and takes no result any more', async () => {
    const { job_id: jobId } = await scanState(world, scanId)
    await cancelScan(world.at(T0 + 500), { id: scanId, jobId })
    expect(await beat(runner, job)).toEqual({ id: job.id, leaseSeconds: 0, cancel: true })
    expect(await refusal(report(runner, job, 'cancelled'))).toBeNull()
    expect(await refusal(upload(runner, resultFor(job)))).toBe('lease_lost')
    expect((await scanState(world, scanId)).status).toBe('CANCELLED')
  })

  it('refuses an envelope of another version, without a fence or without an id', async () => {
    const result = resultFor(job)
    expect(await refusal(upload(runner, { ...result, version: '1.0' }))).toBe('VALIDATION_ERROR')
    expect(await refusal(upload(runner, { ...result, fence: '1' }))).toBe('VALIDATION_ERROR')
    expect(await refusal(upload(runner, { ...result, scan: {} }))).toBe('VALIDATION_ERROR')
    expect(await refusal(upload(runner, 'no json at all'))).toBe('VALIDATION_ERROR')
    expect(await refusal(upload(runner, ''))).toBe('BAD_REQUEST')
  })
})
