import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { Result } from '../../src/scanning/sensors/protocol.ts'
import { RUNNER_ENGINES, type RunnerEngine } from '../src/engines/engine.ts'
import { aBench, type Bench, statuses } from './support/bench.ts'
import { ended } from './support/processes.ts'

vi.setConfig({ testTimeout: 60_000 }) // each job starts several processes, on machines that do other work

/** What each engine reports when one of them fails: grype reads syft's list and falls with it. */
const alone = (name: RunnerEngine, code: string) => ({
  ...Object.fromEntries(RUNNER_ENGINES.map((engine) => [engine, 'succeeded'])),
  ...(name === 'syft' && { grype: 'engine_failed' }),
  [name]: code,
})

/** Nothing of a job is left: no process that an engine forked, no file. */
async function expectNothingLeft({ engines, environment }: Bench): Promise<void> {
  const started = (await engines.calls()).map(({ pid }) => pid)
  for (const pid of [...started, ...(await engines.escaped())]) expect(await ended(pid), `${pid}`).toBe(true)
  expect(await readdir(join(environment.HG_WORK_DIR!, 'running'))).toEqual([])
}

const FAULTS: [string, string][] = [
  ['crash', 'engine_failed'],
  ['flood', 'engine_output_too_large'],
  ['half', 'engine_output_invalid'],
  ['twice', 'engine_output_invalid'],
  ['deep', 'engine_output_invalid'],
  ['nul', 'engine_output_invalid'],
  ['quiet', 'engine_output_invalid'],
  ['stderr:write /tmp/stereoscope-1/layer: no space left on device', 'disk_full'],
  ['stderr:ERROR disk quota exceeded', 'disk_full'],
]

describe('an engine that fails', () => {
  it.each(RUNNER_ENGINES.flatMap((name) => FAULTS.map(([mode, code]) => [name, mode, code] as const)))(
    '(%s: %s) fails alone with %s: the result is partial, valid, and nothing is left behind',
    async (name, mode, code) => {
      const bench = await aBench()
      await bench.engines.behave(name, mode)
      const result = await bench.run()
      expect(statuses(result)).toEqual(alone(name, code))
      expect(result.envelope.scan).toMatchObject({ status: 'PARTIAL', reason: null })
      const failed = result.envelope.engines.find((run) => run.name === name)!
      expect(failed).toMatchObject({ status: 'failed', raw: null })
      expect(failed.reason!.message.length).toBeLessThan(1000)
      expect(() => Result.parse(result.envelope)).not.toThrow()
      await expectNothingLeft(bench)
    },
  )

  it.each(RUNNER_ENGINES)(
    '(%s) by never ending is stopped at its deadline, with what it forked',
    async (name) => {
      const bench = await aBench({ timeoutMs: { [name]: 700 } })
      await bench.engines.behave(name, 'hang')
      expect(statuses(await bench.run())).toEqual(alone(name, 'engine_timeout'))
      expect((await bench.engines.escaped()).length).toBeLessThanOrEqual(1)
      await expectNothingLeft(bench)
    },
  )

  it.each(RUNNER_ENGINES)(
    '(%s) to wait for its children succeeds; the children, in its group or not, are gone',
    async (name) => {
      const bench = await aBench()
      await bench.engines.behave(name, 'fork')
      expect(Object.values(statuses(await bench.run()))).toEqual(['succeeded', 'succeeded', 'succeeded'])
      expect(await bench.engines.escaped()).toHaveLength(3)
      await expectNothingLeft(bench)
    },
  )

  it('after 500 MB of complaints fails with a sentence of bounded length', async () => {
    const bench = await aBench()
    await bench.engines.behave('trivy', 'noise')
    const result = await bench.run()
    expect(statuses(result)).toEqual(alone('trivy', 'engine_failed'))
    expect(JSON.stringify(result.envelope).length).toBeLessThan(10_000)
    await expectNothingLeft(bench)
  })

  it('(syft) to write its SBOMs has no result, whatever else it wrote', async () => {
    const bench = await aBench()
    await bench.engines.behave('syft', 'no-sboms')
    const result = await bench.run()
    expect(statuses(result)).toEqual(alone('syft', 'engine_output_invalid'))
    expect(result.envelope.sboms).toEqual([])
  })

  it.each(FAULTS.filter(([mode]) => mode !== 'flood'))(
    'like every other (%s) fails the scan with all_engines_failed; the image is named, nothing is found',
    async (mode, code) => {
      const bench = await aBench()
      for (const name of RUNNER_ENGINES) await bench.engines.behave(name, mode)
      const { envelope, blobs } = await bench.run()
      expect(statuses({ envelope, blobs })).toEqual({ trivy: code, syft: code, grype: 'engine_failed' })
      expect(envelope.scan).toMatchObject({ status: 'FAILED', reason: { code: 'all_engines_failed' } })
      expect([envelope.packages, envelope.findings, envelope.sboms, blobs]).toEqual([[], [], [], []])
      expect(envelope.image).not.toBeNull()
      await expectNothingLeft(bench)
    },
  )
})

describe("a database of trivy's", () => {
  const metadata = (version: unknown) =>
    JSON.stringify({ Version: version, UpdatedAt: new Date().toISOString() })

  it.each([
    ['that is not there', null, metadata(2)],
    ['without metadata', 'database', null],
    ['whose metadata are half written', 'database', metadata(2).slice(0, 20)],
    ['whose metadata are a list', 'database', '[]'],
    ['whose metadata say no time', 'database', '{"Version":2,"UpdatedAt":"yesterday"}'],
    ['of an older schema', 'database', metadata(1)],
    ['of a newer schema', 'database', metadata(3)],
  ])('%s is database_unavailable, before trivy runs', async (_, file, said) => {
    const bench = await aBench({ environment: { HG_SAMPLE_DATABASES: '' } })
    const directory = join(bench.environment.HG_WORK_DIR!, 'databases', 'trivy', 'db')
    await mkdir(directory, { recursive: true })
    if (file !== null) await writeFile(join(directory, 'trivy.db'), file)
    if (said !== null) await writeFile(join(directory, 'metadata.json'), said)
    expect(statuses(await bench.run()).trivy).toBe('database_unavailable')
    const scans = (await bench.engines.calls()).filter(
      ({ name, args }) => name === 'trivy' && args[0] === 'image',
    )
    expect(scans).toEqual([])
  })
})
