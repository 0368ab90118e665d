import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { newMeter, tenantDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { cancelScan } from '../../src/scanning/scans/cancel.ts'
import { giveUpIngest } from '../../src/scanning/scans/give-up-ingest.ts'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import { readScan, readScanStatus } from '../../src/scanning/scans/read.ts'
import { endScansOfRegistry } from '../../src/scanning/scans/remove-registry.ts'
import { expireLeases } from '../../src/scanning/sensors/expire-leases.ts'
import { reportStatus } from '../../src/scanning/sensors/report-status.ts'
import { endOverdueScans } from '../../src/scanning/sweeps.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  complete,
  emptyPools,
  HOUR,
  MINUTE,
  type Runner,
  resultFor,
  T0,
  upload,
  type World,
} from './world.ts'

const DAY = 24 * HOUR

let world: World
let runner: Runner

beforeEach(async () => {
  await emptyPools()
  world = await aWorld()
  runner = await aRunner()
})

const shard = () => tenantDb(env as unknown as Env, world.organization.shard, newMeter())!

const shown = async (scanId: string) => {
  const scan = await readScan(world.at(T0), scanId)
  const { engines } = await readScanStatus(world.at(T0), scanId)
  expect(engines).toEqual(scan.engines)
  return { ...scan, states: engines.map(({ status }) => status), code: scan.reason?.code ?? null }
}

const audited = (scanId: string) =>
  world.rows<{ action: string; actor: string; details: string }>(
    `SELECT action, actor, details FROM audit_log WHERE org = ? AND target = ? AND action <> 'scan.triggered'
      ORDER BY created_at, action DESC`,
    world.organization.num,
    `scan:${scanId}`,
  )

const actions = async (scanId: string) => (await audited(scanId)).map(({ action }) => action)

describe('the engines of a scan', () => {
  it('are skipped once it ended without a result, never pending', async () => {
    const scanId = await aScan(world)
    expect((await shown(scanId)).states).toEqual(['pending', 'pending', 'pending'])
    await cancelScan(world.at(T0 + 1000), { id: scanId, jobId: scanId })
    expect(await shown(scanId)).toMatchObject({
      status: 'CANCELLED',
      states: ['skipped', 'skipped', 'skipped'],
    })
    const late = await aScan(world, { image: 'team/b:1' })
    await endOverdueScans(shard(), T0 + DAY)
    expect(await shown(late)).toMatchObject({ code: 'no_runner', states: ['skipped', 'skipped', 'skipped'] })
  })

  it('are unavailable where no live runner offers any of them, with that reason', async () => {
    const scanId = await aScan(world, { scanners: ['dockle', 'dive'] })
    const scan = await shown(scanId)
    expect(scan).toMatchObject({ code: 'engine_unavailable', states: ['unavailable', 'unavailable'] })
    expect(scan.engines.map(({ reason }) => reason?.code)).toEqual(Array(2).fill('engine_unavailable'))
  })

  it('are skipped where the uploaded result cannot be used', async () => {
    const scanId = await aScan(world)
    const job = (await runner.poll())!
    await upload(runner, { ...resultFor(job), packages: 'none' })
    await ingestScan(world.at(T0 + MINUTE), scanId)
    expect(await shown(scanId)).toMatchObject({
      code: 'result_invalid',
      states: ['skipped', 'skipped', 'skipped'],
    })
  })

  it('are those that it asked for, also where its leader ran more; it is partial only by its own', async () => {
    const leader = await aScan(world)
    const follower = await aScan(world, { at: T0 + 1, scanners: ['trivy'] })
    await complete(world, runner, (await runner.poll())!, { failed: ['grype'] })
    expect(await shown(leader)).toMatchObject({
      partial: true,
      states: ['succeeded', 'failed', 'succeeded'],
    })
    expect(await shown(follower)).toMatchObject({ partial: false, states: ['succeeded'] })
  })
})

describe('the end of a scan', () => {
  it('leaves one audit row, however often and by whom it is ended', async () => {
    const [overdue, cancelled] = [await aScan(world), await aScan(world, { image: 'team/b:1' })]
    await cancelScan(world.at(T0 + 1000), { id: cancelled, jobId: cancelled })
    await cancelScan(world.at(T0 + 2000), { id: cancelled, jobId: null })
    await endOverdueScans(shard(), T0 + DAY)
    await endOverdueScans(shard(), T0 + DAY + 1)
    expect(await actions(overdue)).toEqual(['scan.failed'])
    expect(await actions(cancelled)).toEqual(['scan.cancelled'])
    const [row] = await audited(overdue)
    expect(row!.actor).toBe('system:sweep')
    expect(JSON.parse(row!.details)).toMatchObject({ status: 'FAILED', reason: { code: 'no_runner' } })
  })

  it('is audited under the scan that has the job, also after its first scan was cancelled', async () => {
    const [first, heir] = [await aScan(world), await aScan(world, { at: T0 + 1 })]
    const job = (await runner.poll())!
    await cancelScan(world.at(T0 + 1000), { id: first, jobId: first })
    await upload(runner, resultFor(job))
    await giveUpIngest(world.at(T0 + HOUR), first)
    expect(await actions(first)).toEqual(['scan.cancelled'])
    expect(await actions(heir)).toEqual(['scan.uploaded', 'scan.failed'])
  })

  it('is audited when its runner fails or is lost, and when its registry is removed', async () => {
    const failed = await aScan(world)
    const job = (await runner.poll())!
    await reportStatus(baseAt(T0 + 1000), runner.identity, job.id, {
      status: 'failed',
      fence: job.lease.fence,
      reason: { code: 'image_corrupt', message: 'A layer does not match.' },
    })
    const lost = await aScan(world, { image: 'team/b:1' })
    await runner.poll()
    await world.rows('UPDATE jobs SET leases = 3 WHERE id = ?', lost)
    await expireLeases(shard(), T0 + HOUR, 10)
    const removed = await aScan(world, { image: 'team/c:1' })
    await endScansOfRegistry(world.at(T0 + HOUR), world.registryId, 10)
    for (const [scanId, code] of [
      [failed, 'image_corrupt'],
      [lost, 'runner_lost'],
      [removed, 'registry_removed'],
    ] as const) {
      const rows = await audited(scanId)
      expect(rows.map(({ action }) => action)).toEqual(['scan.failed'])
      expect(JSON.parse(rows[0]!.details).reason.code).toBe(code)
    }
  })
})
