import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { PublicJwk, RegisterRequest } from '../../src/scanning/sensors/protocol.ts'
import { aDashboard, aJob, type Dashboard } from './support/dashboard.ts'
import { aDirectory } from './support/directory.ts'
import { anImage } from './support/image.ts'
import { ended } from './support/processes.ts'
import { aRegistry } from './support/registry.ts'
import { API_KEY, anEnvironment, type FakeEngines, fakeEngines } from './support/workshop.ts'

vi.setConfig({ testTimeout: 60_000 }) // whole processes on a machine that does other work

const at = (file: string) => fileURLToPath(new URL(`../src/${file}`, import.meta.url))

interface Runner {
  process: ChildProcess
  output: () => string
  exit: Promise<number | null>
}

function start(environment: Record<string, string>, file = 'main.ts'): Runner {
  const child = spawn(process.execPath, [at(file)], {
    env: environment,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk) => {
      text += chunk
    })
  onTestFinished(() => void child.kill('SIGKILL'))
  return {
    process: child,
    output: () => text,
    exit: once(child, 'close').then(([code]) => code as number | null),
  }
}

interface Scene {
  dashboard: Dashboard
  engines: FakeEngines
  environment: Record<string, string>
  ref: string
}

async function aScene(over: Record<string, string> = {}): Promise<Scene> {
  const [dashboard, registry, engines] = await Promise.all([aDashboard(), aRegistry(), fakeEngines()])
  onTestFinished(async () => {
    await Promise.all([dashboard.close(), registry.close()])
  })
  registry.add(anImage(), '1.0')
  const environment = await anEnvironment(dashboard.url, engines, over)
  return { dashboard, engines, environment, ref: `${registry.host}/team/app:1.0` }
}

const polled = (dashboard: Dashboard) =>
  dashboard.until(() => dashboard.received.some(({ path }) => path.includes('/jobs?')))

/** Hands out a job whose engines never end; `hang` ignores SIGTERM too. */
async function hanging(scene: Scene, mode: 'hang' | 'wait' = 'wait'): Promise<void> {
  for (const name of ['trivy', 'syft'] as const) await scene.engines.behave(name, mode)
  scene.dashboard.jobs.push(aJob(scene.ref))
}

/** Waits until both engines that hang have been started. */
async function bothHang({ engines }: Scene): Promise<number[]> {
  for (;;) {
    const scans = (await engines.calls()).filter(({ args }) => args[0] !== 'version')
    const escaped = await engines.escaped()
    if (scans.length >= 2 && escaped.length >= 2) return [...scans.map(({ pid }) => pid), ...escaped]
    await new Promise((done) => setTimeout(done, 10))
  }
}

describe('the runner', () => {
  it('registers, runs a job, uploads blobs before the envelope, and exits 0 on SIGTERM', async () => {
    const scene = await aScene()
    const { dashboard, environment } = scene
    const runner = start(environment)
    dashboard.jobs.push(aJob(scene.ref))
    const envelope = await dashboard.until(() => dashboard.envelopes()[0])
    expect(envelope).toMatchObject({ fence: 1, scan: { id: 'job-1', status: 'SUCCESS' } })
    const registration = RegisterRequest.parse(dashboard.received[0]?.body)
    expect(PublicJwk.parse(registration.publicKey)).toEqual(registration.publicKey)
    expect(registration).toMatchObject({
      name: 'test-runner',
      protocolVersion: 1,
      scannerVersions: { trivy: '9.9.9', grype: '9.9.9', syft: '9.9.9' },
    })
    const order = dashboard.received
      .filter(({ path }) => /blobs|upload/.test(path))
      .map(({ method }) => method)
    expect(order).toEqual(['PUT', 'PUT', 'PUT', 'PUT', 'PUT', 'POST'])
    for (const { raw } of envelope.engines) expect(dashboard.blobs.has(raw?.sha256 ?? '')).toBe(true)
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
    expect(await readdir(join(environment.HG_WORK_DIR!, 'running'))).toEqual([])
    for (const line of runner.output().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    expect(runner.output()).not.toContain(API_KEY)
  })

  it('keeps its key pair from start to start', async () => {
    const { dashboard, environment } = await aScene()
    const keys: unknown[] = []
    for (let round = 1; round <= 2; round++) {
      const runner = start(environment)
      const registrations = () => dashboard.received.filter(({ path }) => path.endsWith('/register'))
      await dashboard.until(() => registrations().length === round)
      keys.push(RegisterRequest.parse(registrations().at(-1)?.body).publicKey)
      runner.process.kill('SIGINT')
      expect(await runner.exit).toBe(0)
    }
    expect(keys[0]).toEqual(keys[1])
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'hands an unfinished job back on %s, and leaves no process',
    async (signal) => {
      const scene = await aScene({ HG_SHUTDOWN_GRACE_SECONDS: '0' })
      const runner = start(scene.environment)
      await hanging(scene, signal === 'SIGTERM' ? 'hang' : 'wait')
      const pids = await bothHang(scene)
      runner.process.kill(signal)
      expect(await runner.exit).toBe(0)
      expect(scene.dashboard.statuses()).toMatchObject([
        { path: '/api/agent/jobs/job-1/status', status: 'released', fence: 1 },
      ])
      expect(scene.dashboard.envelopes()).toEqual([])
      for (const pid of pids) expect(await ended(pid)).toBe(true)
    },
  )

  it('ends a job that is cancelled, and says so', async () => {
    const scene = await aScene()
    start(scene.environment)
    scene.dashboard.onHeartbeat = (ids) => ({
      jobs: ids.map((id) => ({ id, leaseSeconds: 120, cancel: true })),
    })
    await hanging(scene)
    const said = await scene.dashboard.until(() => scene.dashboard.statuses()[0])
    expect(said).toMatchObject({ status: 'cancelled', fence: 1 })
  })

  it.each([
    [
      'a lease of 0 seconds',
      (dashboard: Dashboard) => {
        dashboard.onHeartbeat = (ids) => ({ jobs: ids.map((id) => ({ id, leaseSeconds: 0, cancel: false })) })
      },
    ],
    [
      '409 lease_lost',
      (dashboard: Dashboard) => {
        dashboard.intercept = ({ path, body }) =>
          path.endsWith('/heartbeat') && (body as { jobs: unknown[] }).jobs.length > 0
            ? { status: 409, body: { error: 'gone', code: 'lease_lost' } }
            : null
      },
    ],
  ])('drops a job at once and in silence at %s, and takes the next', async (_what, lose) => {
    const scene = await aScene()
    start(scene.environment)
    lose(scene.dashboard)
    await hanging(scene)
    const pids = await bothHang(scene)
    for (const pid of pids) expect(await ended(pid)).toBe(true)
    for (const name of ['trivy', 'syft'] as const) await scene.engines.behave(name, 'ok')
    scene.dashboard.intercept = () => null
    scene.dashboard.onHeartbeat = () => ({ jobs: [] })
    scene.dashboard.jobs.push(aJob(scene.ref, { id: 'job-2' }))
    expect((await scene.dashboard.until(() => scene.dashboard.envelopes()[0])).scan.id).toBe('job-2')
    expect(scene.dashboard.statuses()).toEqual([])
  })

  it('drops a job whose blob is answered 409', async () => {
    const scene = await aScene()
    start(scene.environment)
    scene.dashboard.intercept = ({ method, path }) =>
      method === 'PUT' && path.includes('job-1')
        ? { status: 409, body: { error: 'gone', code: 'lease_lost' } }
        : null
    scene.dashboard.jobs.push(aJob(scene.ref), aJob(scene.ref, { id: 'job-2' }))
    expect((await scene.dashboard.until(() => scene.dashboard.envelopes()[0])).scan.id).toBe('job-2')
    expect(scene.dashboard.statuses()).toEqual([])
  })

  it('reports a result that the server refuses as failed', async () => {
    const scene = await aScene()
    start(scene.environment)
    scene.dashboard.intercept = ({ path }) => (path.endsWith('/upload') ? { status: 400, body: {} } : null)
    scene.dashboard.jobs.push(aJob(scene.ref))
    const said = await scene.dashboard.until(() => scene.dashboard.statuses()[0])
    expect(said).toMatchObject({ status: 'failed', reason: { code: 'result_invalid' } })
  })

  it('tells the server how far it is, never backwards', async () => {
    const scene = await aScene()
    start(scene.environment)
    await hanging(scene)
    await scene.dashboard.until(() =>
      scene.dashboard.received.some(
        ({ path, body }) => path.endsWith('/heartbeat') && JSON.stringify(body).includes('"running"'),
      ),
    )
    const beats = scene.dashboard.received.filter(({ path }) => path.endsWith('/heartbeat'))
    const progress = beats
      .flatMap(({ body }) => (body as { jobs: { progress: { progress: number } }[] }).jobs)
      .map((job) => job.progress.progress)
    expect(progress).toEqual(progress.toSorted((one, other) => one - other))
    expect(beats.at(-1)?.body).toMatchObject({
      status: 'scanning',
      activeScans: 1,
      jobs: [{ id: 'job-1', fence: 1, progress: { phase: 'scanning' } }],
    })
  })
})

describe('its exit code', () => {
  it('is 2 for a configuration that cannot be used, and the log names the variables without values', async () => {
    const { environment } = await aScene({ HG_API_KEY: 'canary-key', HG_CONCURRENCY: '99' })
    const runner = start(environment)
    expect(await runner.exit).toBe(2)
    expect(runner.output()).toContain('HG_API_KEY')
    expect(runner.output()).toContain('HG_CONCURRENCY')
    expect(runner.output()).not.toContain('canary')
  })

  it('is 2 for sample databases that are none', async () => {
    const { environment } = await aScene({ HG_SAMPLE_DATABASES: await aDirectory() })
    expect(await start(environment).exit).toBe(2)
  })

  it.each([400, 401, 403])('is 3 when the registration is answered %i', async (status) => {
    const { dashboard, environment } = await aScene()
    dashboard.intercept = () => ({ status, body: { error: 'no', code: 'nope' } })
    expect(await start(environment).exit).toBe(3)
    expect(dashboard.received).toHaveLength(1)
  })

  it('is 3 when the key is revoked while it runs', async () => {
    const { dashboard, environment } = await aScene()
    dashboard.intercept = ({ path }) => (path.includes('/jobs?') ? { status: 401, body: {} } : null)
    expect(await start(environment).exit).toBe(3)
  })

  it('is 4 while another runner uses the work directory, which stays untouched', async () => {
    const { dashboard, environment } = await aScene()
    const first = start(environment)
    await polled(dashboard)
    expect(await start(environment).exit).toBe(4)
    expect(first.process.exitCode).toBeNull()
  })

  it('is 4 when the work directory cannot be made', async () => {
    const directory = await aDirectory()
    await writeFile(join(directory, 'file'), '')
    const { environment } = await aScene({ HG_WORK_DIR: join(directory, 'file', 'work') })
    expect(await start(environment).exit).toBe(4)
  })

  it('is 0 when it is stopped before the server answers', async () => {
    const { dashboard, environment } = await aScene()
    dashboard.intercept = () => ({ status: 503 })
    const runner = start(environment)
    await dashboard.until(() => dashboard.received.length > 0)
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
  })
})

describe('a runner that was killed', () => {
  it('is followed by one that clears what it left, processes and directories', async () => {
    const scene = await aScene()
    const first = start(scene.environment)
    await hanging(scene)
    const pids = await bothHang(scene)
    first.process.kill('SIGKILL')
    await first.exit
    const running = join(scene.environment.HG_WORK_DIR!, 'running')
    expect(await readdir(running)).toHaveLength(1)
    const before = scene.dashboard.received.length
    start(scene.environment)
    await scene.dashboard.until(() =>
      scene.dashboard.received.slice(before).some(({ path }) => path.includes('/jobs?')),
    )
    expect(await readdir(running)).toEqual([])
    for (const pid of pids) expect(await ended(pid)).toBe(true)
  })

  it('does not touch what is not its own in the work directory', async () => {
    const { dashboard, environment } = await aScene()
    await mkdir(environment.HG_WORK_DIR!, { recursive: true })
    await writeFile(join(environment.HG_WORK_DIR!, 'note'), 'kept')
    start(environment)
    await polled(dashboard)
    expect(await readFile(join(environment.HG_WORK_DIR!, 'note'), 'utf8')).toBe('kept')
  })
})

describe('the health check', () => {
  it('passes while the server answers, and fails without a runner', async () => {
    const { dashboard, environment } = await aScene()
    expect(await start(environment, 'healthcheck.ts').exit).toBe(1)
    const runner = start(environment)
    await polled(dashboard)
    expect(await start(environment, 'healthcheck.ts').exit).toBe(0)
    runner.process.kill('SIGTERM')
    await runner.exit
    expect(await start(environment, 'healthcheck.ts').exit).toBe(1)
  })
})
