import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { counter, exposition, gauge, histogram } from '../src/metrics/exposition.ts'
import { createRunnerMetrics } from '../src/metrics/runner-metrics.ts'
import { aJob } from './support/dashboard.ts'
import { readMetrics } from './support/metrics-text.ts'
import { aScene, hanging, polled, type Runner, type Scene, start } from './support/scene.ts'
import { API_KEY } from './support/workshop.ts'

vi.setConfig({ testTimeout: 60_000 }) // whole processes on a machine that does other work

const portOf = async ({ output }: Runner): Promise<number> => {
  for (;;) {
    const [, port] = /"metrics_served","port":(\d+)/.exec(output()) ?? []
    if (port) return Number(port)
    await new Promise((done) => setTimeout(done, 10))
  }
}

/** A runner that serves its metrics on a port of its own. */
async function aServingRunner(over: Record<string, string> = {}, before: (scene: Scene) => void = () => {}) {
  const scene = await aScene({ HG_METRICS_PORT: '0', ...over })
  before(scene)
  const runner = start(scene.environment)
  const port = await portOf(runner)
  const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method })
  const scrape = async () => readMetrics(await (await ask('/metrics')).text())
  return { ...scene, runner, port, ask, scrape }
}

const value = (families: ReturnType<typeof readMetrics>, name: string, series = '{}') =>
  families.get(`harborguard_runner_${name}`)?.series.get(series)

describe('the text of the metrics', () => {
  it('escapes what labels and helps may hold', () => {
    const strange = 'a"b\\c\nd,e}f'
    const text = exposition([gauge('g', 'one\\two\nthree', () => [[{ label: strange }, -1.5e-7]])])
    const [[series, number] = []] = readMetrics(text).get('g')!.series
    expect([series, number]).toEqual(['{label="a\\"b\\\\c\\nd,e}f"}', -1.5e-7])
    expect(text).toContain('# HELP g one\\\\two\\nthree\n')
  })

  it('counts every value of a histogram once, in each bucket that it is not above', () => {
    const seconds = histogram('h', 'of values', [1, 2])
    for (const one of [0, 1, 1.5, 2, 3]) seconds.observe({ engine: 'x' }, one)
    const { series } = readMetrics(exposition([seconds])).get('h')!
    expect(Object.fromEntries(series)).toEqual({
      '_bucket{engine="x",le="1"}': 2,
      '_bucket{engine="x",le="2"}': 4,
      '_bucket{engine="x",le="+Inf"}': 5,
      '_sum{engine="x"}': 7.5,
      '_count{engine="x"}': 5,
    })
  })

  it('has the series that are known from the start, and leaves out what nobody has measured', () => {
    const known = counter('c_total', 'of things', [{ kind: 'a' }, { kind: 'b' }])
    known.add({ kind: 'b' }, 2)
    const families = readMetrics(
      exposition([known, histogram('h', 'unused', [1]), gauge('g', 'none', () => [])]),
    )
    expect([...families.keys()]).toEqual(['c_total'])
    expect([...families.get('c_total')!.series.values()]).toEqual([0, 2])
  })

  it('says how old a database is at the moment of the scrape', () => {
    let now = Date.parse('2026-11-21T00:00:00Z')
    const metrics = createRunnerMetrics({ activeJobs: () => 0, lastContact: () => null }, () => now)
    const database = { source: 'official' as const, builtAt: '2026-11-20T23:00:00Z' }
    metrics.engineRuns([
      {
        name: 'grype',
        version: '1',
        sha256: null,
        status: 'succeeded',
        durationMs: 9,
        reason: null,
        database,
        raw: null,
      } as never,
    ])
    now += 60_000
    expect(value(readMetrics(metrics.text()), 'database_age_seconds', '{engine="grype"}')).toBe(3660)
  })
})

describe('a runner', () => {
  it('says what it did: jobs, engines, bytes, databases, memory, version', async () => {
    const { dashboard, ref, ask, scrape } = await aServingRunner()
    dashboard.jobs.push(aJob(ref))
    await dashboard.until(() => dashboard.envelopes()[0])
    await dashboard.until(() => dashboard.received.at(-1)?.path.includes('/jobs?'))
    const families = await scrape()
    expect(value(families, 'jobs_total', '{outcome="success"}')).toBe(1)
    expect(value(families, 'jobs_total', '{outcome="failed"}')).toBe(0)
    expect(value(families, 'job_duration_seconds', '_count{}')).toBe(1)
    for (const engine of ['trivy', 'grype', 'syft']) {
      expect(value(families, 'engine_runs_total', `{engine="${engine}",status="succeeded"}`)).toBe(1)
      expect(value(families, 'engine_duration_seconds', `_count{engine="${engine}"}`)).toBe(1)
    }
    expect(value(families, 'pulled_bytes_total')).toBeGreaterThan(0)
    expect(value(families, 'database_age_seconds', '{engine="trivy"}')).toBeGreaterThan(0)
    expect(value(families, 'jobs_active')).toBe(0)
    expect(families.get('process_resident_memory_bytes')?.series.get('{}')).toBeGreaterThan(1e7)
    expect([...families.get('harborguard_runner_build_info')!.series.keys()][0]).toMatch(
      /version="\d+\.\d+\.\d+"/,
    )
    const reply = await ask('/metrics')
    expect(reply.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await reply.text()
    for (const secret of [API_KEY, ref, 'team/app', 'job-1', 'agent-1']) expect(text).not.toContain(secret)
  })

  it('counts leases that it lost and polls that failed', async () => {
    const scene = await aServingRunner({ HG_POLL_INTERVAL_MS: '100' })
    const { dashboard, scrape } = scene
    await hanging(scene)
    dashboard.onHeartbeat = (ids) => ({ jobs: ids.map((id) => ({ id, leaseSeconds: 0, cancel: false })) })
    const before = () => dashboard.received.filter(({ path }) => path.includes('/jobs?')).length
    await dashboard.until(() => dashboard.received.some(({ path }) => path.endsWith('/heartbeat')))
    const polls = before()
    dashboard.intercept = ({ path }) => (path.includes('/jobs?') ? { status: 500, body: {} } : null)
    await dashboard.until(() => before() > polls + 1)
    const families = await scrape()
    expect(value(families, 'leases_lost_total')).toBe(1)
    expect(value(families, 'jobs_total', '{outcome="lease_lost"}')).toBe(1)
    expect(value(families, 'poll_errors_total')).toBeGreaterThan(0)
  })

  it('is healthy while it hears from its server, and not before', async () => {
    const { dashboard, ask } = await aServingRunner({}, ({ dashboard }) => {
      dashboard.intercept = () => ({ status: 503 })
    })
    const sick = await ask('/healthz')
    expect([sick.status, await sick.json()]).toEqual([503, { healthy: false, lastContactSeconds: null }])
    dashboard.intercept = () => null
    await polled(dashboard)
    await vi.waitFor(async () => expect((await ask('/healthz')).status).toBe(200), { timeout: 30_000 })
    expect(await (await ask('/healthz')).json()).toMatchObject({ healthy: true })
  })

  it('answers nothing else, and nobody but its own machine', async () => {
    const { ask, port, runner } = await aServingRunner()
    const statuses = [
      ['/', 'GET'],
      ['/metrics', 'POST'],
      ['/healthz', 'DELETE'],
      ['/metrics?x=1', 'HEAD'],
    ] as const
    const answered = await Promise.all(
      statuses.map(async ([path, method]) => (await ask(path, method)).status),
    )
    expect(answered).toEqual([404, 405, 405, 200])
    const other = connect(port, '127.0.0.2')
    const [error] = await once(other, 'error')
    expect((error as NodeJS.ErrnoException).code).toBe('ECONNREFUSED')
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
  })

  it('does not begin where the port that it is told to serve on is taken', async () => {
    const first = await aServingRunner()
    const scene = await aScene({ HG_METRICS_PORT: String(first.port) })
    const second = start(scene.environment)
    expect(await second.exit).toBe(2)
    expect(second.output()).toContain('metrics_port_unusable')
    expect(scene.dashboard.received).toEqual([])
  })

  it('does without where the usual port is taken', async () => {
    const taken = createServer().listen(9464, '127.0.0.1')
    await Promise.race([once(taken, 'listening'), once(taken, 'error')])
    onTestFinished(() => void taken.close())
    const { dashboard, environment } = await aScene({ HG_METRICS_PORT: '' })
    const runner = start(environment)
    await polled(dashboard)
    expect(runner.output()).toContain('metrics_port_unusable')
  })
})
