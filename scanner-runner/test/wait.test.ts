import { describe, expect, it, vi } from 'vitest'
import { RegisterRequest } from '../../src/scanning/sensors/protocol.ts'
import { aJob, type Dashboard } from './support/dashboard.ts'
import { aScene, polled, start } from './support/scene.ts'

vi.setConfig({ testTimeout: 60_000 }) // whole processes on a machine that does other work

const NEVER = '300000' // milliseconds between polls: longer than a test

const polls = ({ received }: Dashboard) =>
  received.map(({ path }) => path).filter((path) => path.includes('/jobs?'))
const isWaiting = (dashboard: Dashboard) => dashboard.until(() => dashboard.held() > 0)

async function aWaitingScene(over: Record<string, string> = {}) {
  const scene = await aScene({ HG_POLL_INTERVAL_MS: NEVER, ...over })
  scene.dashboard.capabilities = ['scan', 'lease', 'wait']
  return scene
}

describe('a runner whose server holds polls', () => {
  it('has a job as soon as there is one, and asks again as soon as it is done', async () => {
    const { dashboard, environment, ref } = await aWaitingScene()
    start(environment)
    for (let round = 1; round <= 2; round++) {
      await isWaiting(dashboard)
      expect(polls(dashboard)).toHaveLength(round)
      dashboard.offer(aJob(ref, { id: `job-${round}` }))
      await dashboard.until(() => dashboard.envelopes().length === round)
    }
    await isWaiting(dashboard)
    expect(new Set(polls(dashboard))).toEqual(new Set(['/api/agent/jobs?agentId=agent-1&wait=25']))
  })

  it('goes on asking while a job runs, where it may have more', async () => {
    const { dashboard, environment, engines, ref } = await aWaitingScene({ HG_CONCURRENCY: '2' })
    for (const name of ['trivy', 'syft'] as const) await engines.behave(name, 'wait')
    start(environment)
    await isWaiting(dashboard)
    dashboard.offer(aJob(ref))
    await dashboard.until(() => polls(dashboard).length === 2 && dashboard.held() === 1)
  })

  it('stops at once, however long its grace is', async () => {
    const { dashboard, environment } = await aWaitingScene({ HG_SHUTDOWN_GRACE_SECONDS: '300' })
    const runner = start(environment)
    await isWaiting(dashboard)
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
  })

  it('tells the server that it stops, and runs or hands back what comes in that moment', async () => {
    const { dashboard, environment, ref } = await aWaitingScene({ HG_SHUTDOWN_GRACE_SECONDS: '0' })
    dashboard.answerHeld = () => dashboard.offer(aJob(ref))
    const runner = start(environment)
    await isWaiting(dashboard)
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
    expect(dashboard.statuses()).toMatchObject([{ path: '/api/agent/jobs/job-1/status', status: 'released' }])
  })

  it('keeps to its interval where the server does not hold them after all', async () => {
    const { dashboard, environment } = await aWaitingScene()
    dashboard.intercept = ({ path }) => (path.includes('/jobs?') ? { status: 200, body: { jobs: [] } } : null)
    const runner = start(environment)
    await polled(dashboard)
    expect(await start(environment, 'healthcheck.ts').exit).toBe(0)
    runner.process.kill('SIGTERM')
    expect(await runner.exit).toBe(0)
    expect(polls(dashboard)).toHaveLength(1)
  })

  it('polls without waiting behind a reply that was cut off', async () => {
    const { dashboard, environment, ref } = await aWaitingScene({ HG_POLL_INTERVAL_MS: '100' })
    dashboard.intercept = ({ path }) => (path.includes('wait=') ? 'drop' : null)
    dashboard.jobs.push(aJob(ref))
    start(environment)
    await dashboard.until(() => dashboard.envelopes()[0])
  })

  it('waits as long as it is told to', async () => {
    const { dashboard, environment } = await aWaitingScene({ HG_POLL_WAIT_SECONDS: '7' })
    start(environment)
    await isWaiting(dashboard)
    expect(polls(dashboard)).toEqual(['/api/agent/jobs?agentId=agent-1&wait=7'])
  })
})

describe('a runner and its server', () => {
  it('meet where the server is an old one: it polls by its interval', async () => {
    const { dashboard, environment, ref } = await aScene()
    start(environment)
    await dashboard.until(() => polls(dashboard).length >= 3)
    dashboard.jobs.push(aJob(ref))
    await dashboard.until(() => dashboard.envelopes()[0])
    expect(new Set(polls(dashboard))).toEqual(new Set(['/api/agent/jobs?agentId=agent-1']))
  })

  it('say to each other what they are: labels, concurrency and capabilities', async () => {
    const { dashboard, environment } = await aScene({ HG_LABELS: 'gpu, zone=eu,,gpu', HG_CONCURRENCY: '3' })
    start(environment)
    await polled(dashboard)
    const said = RegisterRequest.parse(dashboard.received[0]?.body)
    expect(said).toMatchObject({ labels: ['gpu', 'zone=eu'], concurrency: 3 })
    expect(said.capabilities).toEqual(expect.arrayContaining(['lease', 'wait']))
  })

  it.each(['/register', '/jobs?'])('part with exit code 5 where the runner is too old for %s', async (at) => {
    const { dashboard, environment } = await aScene()
    dashboard.intercept = ({ path }) =>
      path.includes(at) ? { status: 400, body: { error: 'too old', code: 'runner_too_old' } } : null
    const runner = start(environment)
    expect(await runner.exit).toBe(5)
    const said = runner
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(said.at(-1)).toMatchObject({ level: 'error', event: 'runner_too_old', remedy: expect.any(String) })
  })
})
