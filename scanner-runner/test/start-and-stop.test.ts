import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { aDirectory } from './support/directory.ts'
import { ended } from './support/processes.ts'
import { aScene, bothHang, hanging, polled, start } from './support/scene.ts'

vi.setConfig({ testTimeout: 60_000 }) // whole processes on a machine that does other work

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
