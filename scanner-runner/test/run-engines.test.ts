import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { Result } from '../../src/scanning/sensors/protocol.ts'
import { RUNNER_ENGINES } from '../src/engines/engine.ts'
import { aBench, type Bench, statuses } from './support/bench.ts'

vi.setConfig({ testTimeout: 30_000 }) // each job starts several processes, on machines that do other work

describe('an engine', () => {
  it.each([
    ['stderr:FATAL boom', 'engine_failed'],
    ['empty', 'engine_output_invalid'],
    ['garbage', 'engine_output_invalid'],
    ['not-its-report', 'engine_output_invalid'],
    ['wrong-platform', 'engine_wrong_platform'],
    ['stderr:--skip-db-update cannot be specified on the first run', 'database_unavailable'],
    ['stderr:The first run cannot skip downloading Java DB', 'database_unavailable'],
    ['stderr:context deadline exceeded', 'engine_timeout'],
  ])('of trivy that does %j fails alone with %s, and the scan is partial', async (mode, code) => {
    const { run, engines } = await aBench()
    await engines.behave('trivy', mode)
    const result = await run()
    expect(statuses(result)).toEqual({ trivy: code, syft: 'succeeded', grype: 'succeeded' })
    expect(result.envelope.scan.status).toBe('PARTIAL')
    expect(() => Result.parse(result.envelope)).not.toThrow()
  })

  it.each([
    ['stderr:database does not exist', 'database_unavailable'],
    [
      'stderr:the vulnerability database was built 6 years ago (max allowed age is 5 days)',
      'database_too_old',
    ],
    ['stderr:bad db checksum', 'database_unavailable'],
    ['stderr:no import metadata file', 'database_unavailable'],
    ['stderr:file is not a database', 'database_unavailable'],
    ['wrong-platform', 'engine_wrong_platform'],
  ])('of grype that does %j fails alone with %s', async (mode, code) => {
    const { run, engines } = await aBench()
    await engines.behave('grype', mode)
    expect(statuses(await run())).toEqual({ trivy: 'succeeded', syft: 'succeeded', grype: code })
  })

  it('that reads a failed one fails with it', async () => {
    const { run, engines } = await aBench()
    await engines.behave('syft', 'stderr:boom')
    const result = await run()
    expect(statuses(result)).toEqual({ trivy: 'succeeded', syft: 'engine_failed', grype: 'engine_failed' })
    expect(result.envelope.sboms).toEqual([])
  })

  it('that is asked for and not there is unavailable', async () => {
    const { run, ref } = await aBench({ engines: ['trivy'] })
    const result = await run({
      scan: { imageRef: ref, source: 'registry', scanners: ['trivy', 'dockle', 'grype'] },
    })
    expect(statuses(result)).toEqual({
      trivy: 'succeeded',
      grype: 'engine_unavailable',
      dockle: 'engine_unavailable',
    })
    expect(result.envelope.scan.status).toBe('PARTIAL')
  })

  it('that is the only one asked for and not there fails the scan without a pull', async () => {
    const { run, ref } = await aBench({ engines: ['trivy'] })
    const { envelope } = await run({ scan: { imageRef: ref, source: 'registry', scanners: ['dive'] } })
    expect(envelope).toMatchObject({
      image: null,
      scan: { status: 'FAILED', reason: { code: 'engine_unavailable' } },
    })
  })

  it('that fails like all others fails the scan, which keeps its image', async () => {
    const { run, engines } = await aBench()
    for (const name of RUNNER_ENGINES) await engines.behave(name, 'stderr:boom')
    const { envelope } = await run()
    expect(envelope).toMatchObject({ scan: { status: 'FAILED', reason: { code: 'all_engines_failed' } } })
    expect(envelope.image).not.toBeNull()
  })
})

describe('databases', () => {
  const bare = { HG_SAMPLE_DATABASES: '' }

  it('that are missing fail trivy before it runs', async () => {
    const { run, engines } = await aBench({ environment: bare })
    expect(statuses(await run()).trivy).toBe('database_unavailable')
    expect((await engines.calls()).some(({ name, args }) => name === 'trivy' && args[0] === 'image')).toBe(
      false,
    )
  })

  const hour = 3_600_000
  it.each([
    [-119, 'succeeded'],
    [-121, 'database_too_old'],
    [23, 'succeeded'],
    [25, 'database_from_future'],
  ])('of trivy that were built %i hours from now: %s', async (hours, outcome) => {
    const { run, environment } = await aBench({ environment: bare })
    const directory = join(environment.HG_WORK_DIR!, 'databases', 'trivy', 'db')
    await mkdir(directory, { recursive: true })
    const metadata = { Version: 2, UpdatedAt: new Date(Date.now() + hours * hour).toISOString() }
    await writeFile(join(directory, 'metadata.json'), JSON.stringify(metadata))
    await writeFile(join(directory, 'trivy.db'), 'database')
    const result = await run()
    expect(statuses(result).trivy).toBe(outcome)
    const trivy = result.envelope.engines.find(({ name }) => name === 'trivy')
    expect(trivy?.database).toMatchObject({ source: 'official', schema: '2' })
  })

  it('that are samples are not used without the setting that names them', async () => {
    const { environment } = await aBench()
    const samples = environment.HG_SAMPLE_DATABASES!
    const caches = { TRIVY_CACHE_DIR: join(samples, 'trivy'), GRYPE_DB_CACHE_DIR: join(samples, 'grype') }
    const { run } = await aBench({ environment: { ...bare, ...caches } })
    expect(statuses(await run())).toMatchObject({
      trivy: 'database_unavailable',
      grype: 'database_unavailable',
    })
  })

  it('hold grype to the same age, and exempt only the samples', async () => {
    const ages = async (bench: Bench) => {
      await bench.run()
      return (await bench.engines.calls()).find(({ name, args }) => name === 'grype' && args[0] !== 'version')
        ?.env
    }
    expect(await ages(await aBench())).toMatchObject({
      GRYPE_DB_VALIDATE_AGE: 'false',
      GRYPE_DB_AUTO_UPDATE: 'false',
    })
    expect(await ages(await aBench({ environment: bare }))).toMatchObject({
      GRYPE_DB_VALIDATE_AGE: 'true',
      GRYPE_DB_MAX_ALLOWED_BUILT_AGE: '120h',
      GRYPE_DB_AUTO_UPDATE: 'false',
    })
  })
})
