import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { PublicJwk, RegisterRequest } from '../../src/scanning/sensors/protocol.ts'
import { aJob, type Dashboard } from './support/dashboard.ts'
import { ended } from './support/processes.ts'
import { aScene, bothHang, hanging, start } from './support/scene.ts'
import { API_KEY } from './support/workshop.ts'

vi.setConfig({ testTimeout: 60_000 }) // whole processes on a machine that does other work

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
