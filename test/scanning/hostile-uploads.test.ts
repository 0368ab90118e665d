import { beforeEach, describe, expect, it } from 'vitest'
import { ingestScan } from '../../src/scanning/scans/ingest.ts'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import { rowsOf } from '../tables.ts'
import { COLLIDING, HARMLESS, INVALID, REFUSED } from './hostile-results.ts'
import {
  aRunner,
  aScan,
  aWorld,
  complete,
  emptyPools,
  HOUR,
  jobIdOf,
  type Runner,
  refusal,
  resultFor,
  scanState,
  settle,
  T0,
  upload,
  type World,
} from './world.ts'

/** What a scan's own end may change. Everything else is what the organization knows of its images. */
const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']
/** What a result that says the same again changes: when it was scanned last. */
const OF_THE_IMAGE = ['artifacts', 'images', 'tags', 'ingest_state']
const LATER = T0 + 2 * HOUR

let world: World
let runner: Runner
let job: Job
let scanId: string
let before: Record<string, string[]>

/** An image with a good result, and a second scan of it that a runner holds. */
beforeEach(async () => {
  await emptyPools()
  world = await aWorld()
  runner = await aRunner()
  const first = await aScan(world)
  await complete(world, runner, (await runner.poll())!)
  expect((await scanState(world, first)).status).toBe('COMPLETE')
  scanId = await aScan(world, { at: LATER })
  job = (await runner.poll(LATER))!
  before = await rowsOf(world.organization, OF_THE_SCAN)
  expect(Object.values(before).flat().length).toBeGreaterThan(30)
})

/** Uploads, ingests, and says how the scan ended. */
async function end(document: unknown, scan = scanId, at = LATER): Promise<string> {
  await upload(runner, document, at + 1000)
  await ingestScan(world.at(at + 2000), await jobIdOf(world, scan))
  await settle()
  const { status, code } = await scanState(world, scan)
  return code === null ? status : `${status} ${code}`
}

describe('A hostile result', () => {
  it.each(INVALID)('with %s ends the scan FAILED and changes nothing that is known', async (_, change) => {
    expect(await end(change(resultFor(job, { without: (n) => n < 3 }), job))).toBe('FAILED result_invalid')
    expect(await rowsOf(world.organization, OF_THE_SCAN)).toEqual(before)
  })

  it.each(REFUSED)('for %s is refused and changes nothing at all', async (_, change, code) => {
    const all = await rowsOf(world.organization)
    expect(await refusal(upload(runner, change(resultFor(job), job), LATER + 1000))).toBe(code)
    expect(await rowsOf(world.organization)).toEqual(all)
  })

  it.each(HARMLESS)('with %s is stored', async (_, change) => {
    expect(await end(change(resultFor(job), job))).toBe('COMPLETE')
  })

  it.each(COLLIDING)('with %s is stored, and again without a difference', async (_, change) => {
    const without = [...OF_THE_SCAN, ...OF_THE_IMAGE]
    expect(await end(change(resultFor(job), job))).toBe('COMPLETE')
    const after = await rowsOf(world.organization, without)
    const next = await aScan(world, { at: LATER + HOUR })
    const nextJob = (await runner.poll(LATER + HOUR))!
    expect(await end(change(resultFor(nextJob), nextJob), next, LATER + HOUR)).toBe('COMPLETE')
    expect(await rowsOf(world.organization, without)).toEqual(after)
  })

  it('of a database from the future changes no finding, and none later is refused for it', async () => {
    const result = resultFor(job, { without: (n) => n < 5 })
    for (const { database } of result.engines) if (database) database.builtAt = '9999-12-31T23:59:59Z'
    await end(result)
    const again = await aScan(world, { at: LATER + HOUR })
    const next = (await runner.poll(LATER + HOUR))!
    await complete(world, runner, next, { findings: 6 }, LATER + HOUR + 1000)
    expect((await scanState(world, again)).status).toBe('COMPLETE')
    const [row] = await world.rows<{ n: number }>(
      'SELECT sum(critical + high + medium + low + unknown) AS n FROM artifacts WHERE org = ?',
      world.organization.num,
    )
    expect(row!.n).toBe(6)
  })

  it('sent again, with an old fence, or by another key changes nothing', async () => {
    const result = resultFor(job)
    expect(await end(result)).toBe('COMPLETE')
    const after = await rowsOf(world.organization)
    await upload(runner, result, LATER + 3000)
    expect(await refusal(upload(runner, { ...result, fence: 7 }, LATER + 3000))).toBe('lease_lost')
    const stranger = await aRunner()
    expect(await refusal(upload(stranger, result, LATER + 3000))).toBe('lease_lost')
    await ingestScan(world.at(LATER + 4000), await jobIdOf(world, scanId))
    expect(await rowsOf(world.organization)).toEqual(after)
  })

  it('about an advisory that another organization knows changes that organization nothing', async () => {
    const theirs = await aWorld()
    await aScan(theirs)
    await complete(theirs, runner, (await runner.poll(T0))!)
    const known = await rowsOf(theirs.organization)
    expect(known.vulnerabilities!.length).toBeGreaterThan(0)
    const lie = resultFor(job, { without: (n) => n > 3 })
    for (const advisory of lie.vulnerabilities) advisory.description = 'Nothing to see here.'
    for (const finding of lie.findings) finding.severity = 'LOW'
    expect(await end(lie)).toBe('COMPLETE')
    expect(await rowsOf(theirs.organization)).toEqual(known)
  })

  it('of 200,000 findings is stored or ends the scan, within one ingest', { timeout: 60_000 }, async () => {
    const result = resultFor(job)
    const finding = { ...result.findings[0]!, cvss: [], fixedVersions: [] }
    result.findings = Array.from({ length: 200_000 }, (_, n) => ({
      ...finding,
      package: n % result.packages.length,
      vulnerability: n % result.vulnerabilities.length,
    }))
    expect(await end(result)).toBe('COMPLETE')
  })

  it("is refused from a sensor of another registry, and of the same organization's cloud job", async () => {
    const other = await aWorld('sensor')
    const strangers = [await aRunner({ world: other }), await aRunner({ world })]
    const all = await rowsOf(world.organization)
    for (const stranger of strangers) {
      expect(await refusal(upload(stranger, resultFor(job), LATER + 1000))).toBe('lease_lost')
    }
    expect(await rowsOf(world.organization)).toEqual(all)
    expect(await strangers[0]!.poll(LATER)).toBeNull()
  })
})
