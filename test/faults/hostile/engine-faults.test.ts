import { beforeEach, describe, expect, it } from 'vitest'
import { REASONS, reason } from '../../../src/scanning/reasons.ts'
import type { EngineName, Result } from '../../../src/scanning/sensors/result.ts'
import { DAY } from '../../risk/results.ts'
import { resultFor } from '../../scanning/world.ts'
import { rowsOf } from '../../tables.ts'
import { type Findings, shownBy } from './applied.ts'
import { aLeasedJob, type LeasedJob } from './leased-job.ts'

const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']
/** What one engine's failure may be called. */
const CODES = (Object.keys(REASONS) as (keyof typeof REASONS)[]).filter(
  (code) => /^(engine|database)_|^disk_full$/.test(code) && code !== 'database_older',
)

let leased: LeasedJob
let before: Findings

const build = Date.now() - DAY
/** Of the only artifact. */
const findings = async () => [...(await shownBy(leased.world)).findings.values()][0]!
const good = () => resultFor(leased.job, { build })

/** A result in which these engines failed with this code, and say findings all the same where `babbling`. */
function failing(names: readonly EngineName[], code: string, babbling: boolean): Result {
  const result = resultFor(leased.job, {
    build,
    without: (number) => number < 2,
    failed: babbling ? [] : names,
  })
  for (const run of result.engines) {
    if (names.includes(run.name))
      Object.assign(run, { status: 'failed', reason: { code, message: 'It says so.' } })
  }
  return result
}

/** An image with a good result, and a lease to say something else about it. */
beforeEach(async () => {
  leased = await aLeasedJob()
  await leased.upload(JSON.stringify(good()))
  expect((await leased.ingest()).status).toBe('COMPLETE')
  await leased.again()
  before = await findings()
  expect([before.trivy.length > 2, before.grype.length > 2]).toEqual([true, true])
})

describe('A scan in which one engine failed', () => {
  it.each(CODES.flatMap((code) => [['trivy', code] as const, ['grype', code] as const]))(
    '(%s: %s) is partial, says so, and withdraws nothing that only this engine knows',
    async (name, code) => {
      const other = name === 'trivy' ? 'grype' : 'trivy'
      await leased.upload(JSON.stringify(failing([name], code, code.length % 2 === 0)))
      const { status, engines } = await leased.ingest()
      expect(status).toBe('COMPLETE')
      expect(engines.find((engine) => engine.name === name)).toMatchObject({
        status: 'failed',
        reason: { code },
      })
      const [after, { counters }] = [await findings(), await shownBy(leased.world)]
      expect(after[name]).toEqual(before[name])
      expect(after[other].length).toBeLessThan(before[other].length)
      expect(counters.kept).toEqual(counters.counted)
      const [row] = await leased.world.rows<{ partial: number }>(
        'SELECT partial FROM scans WHERE id = ?',
        leased.scanId,
      )
      expect(row!.partial).toBe(1)
    },
  )

  it('with a reason outside the catalogue is filed under engine_failed, with its words', async () => {
    await leased.upload(JSON.stringify(failing(['grype'], 'out_of_cheese', false)))
    const { engines } = await leased.ingest()
    expect(engines.find(({ name }) => name === 'grype')).toMatchObject({
      reason: { code: 'engine_failed', message: expect.stringMatching(/It says so\.$/) },
    })
  })
})

describe('A scan in which every engine failed', () => {
  it.each([true, false])(
    'is FAILED and keeps the last good result (findings all the same: %s)',
    async (babbling) => {
      const rows = await rowsOf(leased.world.organization, OF_THE_SCAN)
      await leased.upload(JSON.stringify(failing(['trivy', 'grype', 'syft'], 'disk_full', babbling)))
      const { status, code } = await leased.ingest()
      expect([status, code]).toEqual(['FAILED', 'all_engines_failed'])
      expect(await rowsOf(leased.world.organization, OF_THE_SCAN)).toEqual(rows)
    },
  )
})

it('every reason is a stable code and a sentence, with detail of bounded length behind it', () => {
  for (const [code, sentence] of Object.entries(REASONS)) {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(sentence).toMatch(/^[A-Z].{10,}[.]$/)
    expect(reason(code as keyof typeof REASONS, 'x'.repeat(10_000)).message.length).toBeLessThan(1000)
  }
})
