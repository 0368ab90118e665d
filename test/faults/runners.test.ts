import { beforeAll, describe, expect, it } from 'vitest'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { LEASE_SECONDS, MAX_LEASES } from '../../src/scanning/sensors/protocol.ts'
import { BUILT, DAY } from '../risk/results.ts'
import { FakeRunner } from './fake-runner.ts'
import { contradictions } from './invariants.ts'
import { Story } from './story.ts'
import { MINUTE, System } from './system.ts'
import { expectStatus } from './tenant.ts'

const PAST_LEASE = (LEASE_SECONDS + 1) * 1000

let system: System

beforeAll(() => {
  system = new System(Date.now())
})

/** How a scan ended: its state and reason, and how often a result of it was accepted and applied. */
async function ending({ tenant, scanId }: Story) {
  const [scan] = await tenant.rows<{ status: string; reason: string | null }>(
    'SELECT status, reason FROM scans WHERE id = ?',
    scanId,
  )
  const [applied] = await tenant.rows<{ seq: number }>(
    'SELECT seq FROM ingest_state WHERE org = ?',
    tenant.organization.num,
  )
  const [uploads] = await tenant.rows<{ n: number }>(
    "SELECT count(*) AS n FROM audit_log WHERE org = ? AND action = 'scan.uploaded'",
    tenant.organization.num,
  )
  const reason = scan!.reason === null ? null : (JSON.parse(scan!.reason) as { code: string }).code
  return { status: scan!.status, reason, accepted: uploads!.n, applied: applied?.seq ?? 0 }
}

const ONCE = { status: 'COMPLETE', reason: null, accepted: 1, applied: 1 }

/** What a runner gets done of a job before it is killed. */
const LIVES: Record<string, (runner: FakeRunner, job: Job) => Promise<unknown>> = {
  'right after the claim': async () => {},
  'after a heartbeat': (runner, job) => runner.renew(job),
  'after one blob': (runner, job) => runner.putBlob(job, '{"bomFormat":"CycloneDX"}'),
  'after all blobs': (runner, job) => runner.putBlobs(job),
  'after an upload that broke off': async (runner, job) => {
    const text = JSON.stringify(await runner.result(job))
    const half = text.slice(0, text.length / 2)
    expectStatus(await runner.send('POST', '/api/scans/upload', half, text.length), 400)
  },
}

describe('a runner that is killed', () => {
  it.for(Object.keys(LIVES))('leaves the job to the next one: %s', async (step) => {
    const story = await Story.begin(system)
    await story.claimed()
    await LIVES[step]!(story.runner, story.job!)
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('has done its work when it dies after the upload, before the answer', async () => {
    const story = await Story.begin(system)
    await story.claimed()
    await story.runner.complete(story.job!)
    await story.finish()
    const [job] = await story.tenant.rows('SELECT fence, leases FROM jobs WHERE id = ?', story.scanId)
    expect(job).toEqual({ fence: 1, leases: 1 })
    expect(await ending(story)).toEqual(ONCE)
  })

  it('ends the scan as runner_lost the third time', async () => {
    const story = await Story.begin(system)
    await story.request()
    await story.deliver()
    for (let life = 0; life < MAX_LEASES; life++) {
      const runner = await FakeRunner.register(system)
      expect((await runner.poll())?.lease.fence).toBe(life + 1)
      system.advance(PAST_LEASE)
      await system.tick()
    }
    await story.finish()
    expect(await ending(story)).toEqual({ status: 'FAILED', reason: 'runner_lost', accepted: 0, applied: 0 })
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })
})

describe('a runner that was paused past its lease', () => {
  /** A job whose first holder was paused until the sweep took it back. */
  async function paused(): Promise<Story> {
    const story = await Story.begin(system)
    await story.claimed()
    await story.runner.putBlobs(story.job!)
    system.advance(PAST_LEASE)
    return story
  }

  const lost = { body: { code: 'lease_lost' }, status: 409 }

  it('is told so by every call, before the sweep and after it, and changes nothing', async () => {
    const story = await paused()
    const { runner, job } = story
    for (const swept of [false, true]) {
      if (swept) await system.tick()
      expect(await runner.renew(job)).toMatchObject({ leaseSeconds: 0 })
      expect(await runner.putBlob(job!, '{}')).toMatchObject(lost)
      expect(await runner.upload(job!)).toMatchObject(lost)
      expect(await runner.report(job!, 'failed')).toMatchObject(lost)
      expect(await runner.report(job!, 'released')).toMatchObject(lost)
    }
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
  })

  it('finishes late while another one has the job: the other one counts', async () => {
    const story = await paused()
    await system.tick()
    const other = await FakeRunner.register(system)
    const again = (await other.poll())!
    expect(again.lease.fence).toBe(story.job!.lease.fence + 1)
    expect(await story.runner.upload(story.job!, { findings: 3 })).toMatchObject(lost)
    expectStatus(await other.complete(again, { findings: 5 }), 200)
    expect(await story.runner.upload(story.job!, { findings: 3 })).toMatchObject(lost)
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
    expect(
      await story.tenant.rows('SELECT 1 FROM matches WHERE org = ?', story.tenant.organization.num),
    ).toHaveLength(5)
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('cannot use the lease of its successor', async () => {
    const story = await paused()
    await system.tick()
    const again = (await (await FakeRunner.register(system)).poll())!
    const forged = { ...story.job!, lease: again.lease }
    expect(await story.runner.upload(forged)).toMatchObject(lost)
    expect(await story.runner.putBlob(forged, '{}')).toMatchObject(lost)
    expect(await story.runner.renew(forged)).toMatchObject({ leaseSeconds: 0 })
    system.advance(PAST_LEASE)
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
  })
})

describe('a result that comes more than once', () => {
  it('is applied once when its runner finishes twice, in sequence or at once, before and after the ingest', async () => {
    const story = await Story.begin(system)
    await story.claimed()
    const { runner, job } = story
    await runner.renew(job)
    await runner.putBlobs(job!)
    const first = await Promise.all([runner.upload(job!), runner.upload(job!), runner.upload(job!)])
    expect(first.map(({ status }) => status)).toEqual([200, 200, 200])
    await system.drain()
    expect(await runner.upload(job!)).toEqual(first[0])
    expect(await runner.report(job!, 'completed')).toMatchObject({ status: 204 })
    expect(await runner.report(job!, 'failed')).toMatchObject({ status: 204 })
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('is accepted from its holder alone when two runners have the same upload', async () => {
    const story = await Story.begin(system)
    await story.claimed()
    const other = await FakeRunner.register(system)
    const both = await Promise.all([other.upload(story.job!), story.runner.upload(story.job!)])
    expect(both.map(({ status }) => status)).toEqual([409, 200])
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })

  it('does not come back after its scan was cancelled', async () => {
    const story = await Story.begin(system)
    await story.claimed()
    await story.runner.putBlobs(story.job!)
    expectStatus(await story.tenant.call('DELETE', `/api/scans/${story.scanId}`), 200)
    expect(await story.runner.renew(story.job)).toEqual({ id: story.job!.id, leaseSeconds: 0, cancel: true })
    expectStatus(await story.runner.upload(story.job!), 409)
    await story.finish()
    expect(await ending(story)).toEqual({ status: 'CANCELLED', reason: null, accepted: 0, applied: 0 })
    expect(await contradictions(story.tenant.organization)).toEqual([])
  })
})

describe("a runner's clock that is hours off", () => {
  it.for([-48, -5, 5, 48])('by %i hours changes no time and no order of ours', async (hours) => {
    const story = await Story.begin(system)
    await story.claimed()
    const { runner, job, tenant } = story
    await runner.renew(job)
    system.advance(10_000)
    const result = await runner.result(job!)
    const off = (later: number): string => new Date(system.now + hours * 60 * MINUTE + later).toISOString()
    result.scan = { ...result.scan, startedAt: off(-10_000), finishedAt: off(0) }
    expectStatus(await runner.send('POST', '/api/scans/upload', result), 200)
    const uploaded = system.now
    await system.drain()
    const [scan] = await tenant.rows(
      'SELECT status, duration_ms, scanned_at FROM scans WHERE id = ?',
      story.scanId,
    )
    expect(scan).toEqual({ status: 'COMPLETE', duration_ms: 10_000, scanned_at: uploaded })
    const [artifact] = await tenant.rows(
      'SELECT trivy_at, trivy_build FROM artifacts WHERE org = ?',
      tenant.organization.num,
    )
    expect(artifact).toEqual({ trivy_at: uploaded, trivy_build: BUILT })
    await story.finish()
    expect(await ending(story)).toEqual(ONCE)
  })

  it('that dates its database beyond tomorrow is refused: the result is recorded and changes no finding', async () => {
    const story = await Story.begin(system)
    await story.claimed()
    expectStatus(
      await story.runner.complete(story.job!, { build: system.now + 2 * DAY, engines: ['trivy'] }),
      200,
    )
    await story.finish()
    const answer = await story.tenant.call('GET', `/api/scans/${story.scanId}`)
    const trivy = answer.body.data.engines.find(({ name }: { name: string }) => name === 'trivy')
    expect(trivy.reason.code).toBe('database_from_future')
    expect(await ending(story)).toEqual({ ...ONCE, applied: 0 })
  })
})
