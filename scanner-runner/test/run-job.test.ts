import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CompactEncrypt, importJWK } from 'jose'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Job, Result } from '../../src/scanning/sensors/protocol.ts'
import { readSamples } from '../src/databases/database-source.ts'
import { RUNNER_ENGINES, type RunnerEngine } from '../src/engines/engine.ts'
import { engineTable } from '../src/engines/engine-table.ts'
import { findEngines } from '../src/engines/installed-engines.ts'
import { JobStopped } from '../src/job/job-stopped.ts'
import { trackProgress } from '../src/job/progress.ts'
import { askedEngines, type JobResult, runJob } from '../src/job/run-job.ts'
import { clearRunningDirectory, runningDirectory } from '../src/job/running-directory.ts'
import { loadOrCreateKey } from '../src/key-pair.ts'
import { createLog } from '../src/log.ts'
import { createRedactor } from '../src/redact.ts'
import { aJob } from './support/dashboard.ts'
import { anImage } from './support/image.ts'
import { ended } from './support/processes.ts'
import { aRegistry } from './support/registry.ts'
import { anEnvironment, configOf, type FakeEngines, fakeEngines } from './support/workshop.ts'

interface Bench {
  engines: FakeEngines
  environment: Record<string, string>
  ref: string
  lines: string[]
  key: Awaited<ReturnType<typeof loadOrCreateKey>>
  run(over?: Partial<Job>, signal?: AbortSignal): Promise<JobResult>
}

/** A registry with an image, fake engines, and a way to run one job on them. */
async function aBench(
  options: { engines?: RunnerEngine[]; environment?: Record<string, string>; basic?: string } = {},
): Promise<Bench> {
  const registry = await aRegistry()
  onTestFinished(() => registry.close())
  registry.add(anImage(), '1.0')
  if (options.basic)
    registry.intercept = ({ headers }, response) => {
      if (headers.authorization === options.basic) return false
      response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      return true
    }
  const engines = await fakeEngines(options.engines)
  const environment = await anEnvironment('http://localhost', engines, options.environment)
  const config = configOf(environment)
  await clearRunningDirectory(config.workDir)
  const key = await loadOrCreateKey(config.workDir)
  const samples = config.sampleDatabases ? await readSamples(config.sampleDatabases) : null
  const databases = { trivyCacheDir: config.trivyCacheDir, grypeCacheDir: config.grypeCacheDir, samples }
  const drivers = engineTable(databases)
  const lines: string[] = []
  const redactor = createRedactor()
  const write = (line: string) => void lines.push(line)
  const log = createLog({ level: 'debug', redactor, write, now: () => new Date() })
  const search = {
    enginesDir: config.enginesDir,
    scratchDir: runningDirectory(config.workDir),
    wanted: RUNNER_ENGINES,
  }
  const never = new AbortController().signal
  const installed = await findEngines({ ...search, drivers, log, signal: never })
  const run = (over: Partial<Job> = {}, signal = never) => {
    const job = aJob(`${registry.host}/team/app:1.0`, over)
    const progress = trackProgress(askedEngines(job), () => {})
    const deadlineMs = Date.now() + 60_000
    const workshop = { config, databases, drivers, engines: installed, privateKey: key.privateKey, redactor }
    return runJob({ ...workshop, job, agentId: 'agent-1', log, signal, deadlineMs, progress })
  }
  return { engines, environment, ref: `${registry.host}/team/app:1.0`, lines, key, run }
}

vi.setConfig({ testTimeout: 30_000 }) // each job starts several processes, on machines that do other work

const statuses = ({ envelope }: JobResult) =>
  Object.fromEntries(envelope.engines.map(({ name, status, reason }) => [name, reason?.code ?? status]))

describe('a job', () => {
  it('gives a valid envelope, whose blobs are what it says', async () => {
    const { run, ref } = await aBench()
    const { envelope, blobs } = await run()
    expect(() => Result.parse(envelope)).not.toThrow()
    expect(envelope).toMatchObject({
      version: '1.1',
      fence: 1,
      scan: { id: 'job-1', status: 'SUCCESS', reason: null },
    })
    expect(envelope.image).toMatchObject({ ref, platform: 'linux/amd64', os: { family: 'debian' } })
    const named = [...envelope.engines.map(({ raw }) => raw), ...envelope.sboms]
    for (const one of named) {
      const blob = blobs.find(({ sha256 }) => sha256 === one?.sha256)
      expect(blob?.content.length).toBe(one?.size)
      expect(createHash('sha256').update(blob!.content).digest('hex')).toBe(one?.sha256)
    }
    expect(blobs).toHaveLength(5)
  })

  it('says which executable and which database an engine used', async () => {
    const { run } = await aBench()
    const { envelope } = await run()
    for (const { version, sha256 } of envelope.engines) {
      expect(version).toBe('9.9.9')
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    }
    const databases = Object.fromEntries(envelope.engines.map(({ name, database }) => [name, database]))
    expect(databases).toEqual({
      trivy: { builtAt: '2020-01-01T00:00:00.123Z', schema: '2', source: 'sample', advisories: 25 },
      grype: { builtAt: '2026-11-20T06:00:00.000Z', schema: 'v6.1.4', source: 'sample', advisories: 25 },
      syft: null,
    })
  })

  it('stores no path of the runner, and names the SBOM after the reference without its digest', async () => {
    const { run, environment, ref } = await aBench()
    const { envelope, blobs } = await run()
    const everything = [
      JSON.stringify(envelope),
      ...blobs.map(({ content }) => Buffer.from(content).toString()),
    ]
    for (const text of everything) expect(text).not.toContain(environment.HG_WORK_DIR)
    expect(everything.join()).toContain(`"ArtifactName":"${ref}"`)
    expect(everything.join()).toContain(`"format":"spdx-json@2.3","name":"${ref}"`)
  })

  it('gives engines an empty directory, an empty HOME and a closed environment', async () => {
    process.env.AWS_SECRET_ACCESS_KEY = 'canary'
    const { run, engines } = await aBench()
    await run()
    delete process.env.AWS_SECRET_ACCESS_KEY
    for (const { cwd, home, env } of await engines.calls()) {
      expect({ cwd, home }).toEqual({ cwd: [], home: [] })
      expect(env.PATH).toBe('/usr/bin:/bin')
      const foreign = Object.keys(env).filter(
        (name) => !/^(PATH|HOME|TMPDIR|NO_COLOR|PWD|TRIVY_|GRYPE_|SYFT_)/.test(name),
      )
      expect(foreign.filter((name) => !/^(_|SHLVL|OLDPWD|__CF)/.test(name))).toEqual([])
    }
  })

  it('lets grype read the list of syft, or the image where there is no syft', async () => {
    const withSyft = await aBench()
    await withSyft.run({ scan: { imageRef: withSyft.ref, source: 'registry', scanners: ['grype'] } })
    const scans = async ({ engines }: Bench) =>
      (await engines.calls()).filter(({ args }) => args[0] !== 'version')
    expect((await scans(withSyft)).map(({ name }) => name)).toEqual(['syft', 'grype'])
    expect((await scans(withSyft))[1]?.args[0]).toMatch(/^sbom:.*syft\.json$/)
    const without = await aBench({ engines: ['grype'] })
    const result = await without.run({
      scan: { imageRef: without.ref, source: 'registry', scanners: ['grype'] },
    })
    expect((await scans(without))[0]?.args[0]).toMatch(/^oci-dir:/)
    expect(result.envelope.scan.status).toBe('SUCCESS')
  })

  it('deletes its directory, whatever happened', async () => {
    const { run, environment, engines } = await aBench()
    await run()
    await engines.behave('syft', 'stderr:boom')
    await run()
    await run({ scan: { imageRef: 'no-such-host.invalid/a:1', source: 'registry', scanners: [] } })
    expect(await readdir(join(environment.HG_WORK_DIR!, 'running'))).toEqual([])
  })
})

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

describe('what ends a job early', () => {
  it('is a pull that fails: the envelope says why, and no engine runs', async () => {
    const { run, engines } = await aBench()
    const { envelope, blobs } = await run({
      scan: { imageRef: 'no-such-host.invalid/a:1', source: 'registry', scanners: ['trivy', 'dive'] },
    })
    expect(() => Result.parse(envelope)).not.toThrow()
    expect(envelope).toMatchObject({
      image: null,
      scan: { status: 'FAILED', reason: { code: 'registry_unreachable' } },
    })
    expect(envelope.engines.map(({ status }) => status)).toEqual(['skipped', 'skipped'])
    expect(blobs).toEqual([])
    expect((await engines.calls()).every(({ args }) => args[0] === 'version')).toBe(true)
  })

  it('is a stop: engines, and what left their group, are gone when it settles', async () => {
    const { run, engines } = await aBench()
    for (const name of ['trivy', 'syft'] as const) await engines.behave(name, 'hang')
    const controller = new AbortController()
    const running = run({}, controller.signal)
    while ((await engines.escaped()).length < 2) await new Promise((done) => setImmediate(done))
    controller.abort(new JobStopped('cancelled'))
    await expect(running).rejects.toMatchObject({ kind: 'cancelled' })
    for (const pid of await engines.escaped()) expect(await ended(pid)).toBe(true)
  })
})

describe('registry credentials', () => {
  const PASSWORD = 'canary-Passw0rd!'
  const basic = `Basic ${Buffer.from(`scanner:${PASSWORD}`).toString('base64')}`

  async function seal({ key, ref }: Bench, over: object = {}): Promise<string> {
    const header = {
      job: 'job-1',
      fence: 1,
      runner: 'agent-1',
      host: ref.split('/')[0],
      exp: Date.now() / 1000 + 60,
    }
    return new CompactEncrypt(
      new TextEncoder().encode(JSON.stringify({ username: 'scanner', password: PASSWORD })),
    )
      .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', ...header, ...over })
      .encrypt(await importJWK(key.publicKey, 'ECDH-ES'))
  }

  it('are opened for the pull, and appear nowhere', async () => {
    const bench = await aBench({ basic })
    const { envelope, blobs } = await bench.run({ credentials: await seal(bench) })
    expect(envelope.scan.status).toBe('SUCCESS')
    const calls = JSON.stringify(await bench.engines.calls())
    const everything = [
      JSON.stringify(envelope),
      ...bench.lines,
      calls,
      ...blobs.map(({ content }) => Buffer.from(content).toString()),
    ]
    for (const text of everything) expect(text).not.toMatch(/canary|c2Nhbm5lcj/)
  })

  it.each([
    ['another job', { job: 'job-2' }],
    ['another fence', { fence: 2 }],
    ['another host', { host: 'registry.example' }],
    ['a time that has passed', { exp: 1 }],
  ])(
    'for %s fail the job with credentials_unavailable before anything is asked of the registry',
    async (_what, over) => {
      const bench = await aBench({ basic })
      const { envelope } = await bench.run({ credentials: await seal(bench, over) })
      expect(envelope.scan).toMatchObject({ status: 'FAILED', reason: { code: 'credentials_unavailable' } })
    },
  )

  it('that are missing are registry_unauthorized', async () => {
    const bench = await aBench({ basic })
    expect((await bench.run()).envelope.scan.reason?.code).toBe('registry_unauthorized')
  })
})

describe('an installed engine', () => {
  it('that differs from its pinned sha256 is left out', async () => {
    const engines = await fakeEngines(['trivy', 'syft'])
    const found = async (sha256: string) => {
      const entry = { name: 'trivy', version: '9.9.9', path: 'trivy', sha256, source: 'release' }
      await writeFile(join(engines.directory, 'engines.lock.json'), JSON.stringify({ engines: [entry] }))
      const scratchDir = join(engines.directory, 'scratch')
      await rm(scratchDir, { recursive: true, force: true })
      await mkdir(scratchDir)
      const drivers = engineTable({ trivyCacheDir: '', grypeCacheDir: '', samples: null })
      const lines: string[] = []
      const write = (line: string) => void lines.push(line)
      const log = createLog({ level: 'info', redactor: createRedactor(), write, now: () => new Date() })
      const signal = new AbortController().signal
      const search = {
        enginesDir: engines.directory,
        scratchDir,
        wanted: RUNNER_ENGINES,
        drivers,
        log,
        signal,
      }
      return { names: await findEngines(search), lines }
    }
    const refused = await found('0'.repeat(64))
    expect(refused.names).toEqual([])
    expect(refused.lines.join()).toContain('engine_left_out')
  })
})
