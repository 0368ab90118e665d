import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { processesNaming } from '../../../test/e2e/processes-naming.ts'
import { aDashboard, aJob, type Dashboard } from './dashboard.ts'
import { anImage } from './image.ts'
import { runs } from './processes.ts'
import { aRegistry } from './registry.ts'
import { anEnvironment, type FakeEngines, fakeEngines } from './workshop.ts'

const at = (file: string) => fileURLToPath(new URL(`../../src/${file}`, import.meta.url))

export interface Runner {
  process: ChildProcess
  output: () => string
  exit: Promise<number | null>
}

export function start(environment: Record<string, string>, file = 'main.ts'): Runner {
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

export interface Scene {
  dashboard: Dashboard
  engines: FakeEngines
  environment: Record<string, string>
  ref: string
}

export async function aScene(over: Record<string, string> = {}): Promise<Scene> {
  const [dashboard, registry, engines] = await Promise.all([aDashboard(), aRegistry(), fakeEngines()])
  onTestFinished(async () => {
    await killEngines(engines) // last: the runners of the test are dead by then
    await Promise.all([dashboard.close(), registry.close()])
  })
  registry.add(anImage(), '1.0')
  const environment = await anEnvironment(dashboard.url, engines, over)
  return { dashboard, engines, environment, ref: `${registry.host}/team/app:1.0` }
}

export const polled = (dashboard: Dashboard) =>
  dashboard.until(() => dashboard.received.some(({ path }) => path.includes('/jobs?')))

/** Hands out a job whose engines never end before the test does; `hang` ignores SIGTERM too. */
export async function hanging(scene: Scene, mode: 'hang' | 'wait' = 'wait'): Promise<void> {
  for (const name of ['trivy', 'syft'] as const) await scene.engines.behave(name, mode)
  scene.dashboard.jobs.push(aJob(scene.ref))
}

/** What a killed runner left: engines by the directory that they name, and what left their process group. */
async function killEngines(engines: FakeEngines): Promise<void> {
  const named = processesNaming(engines.directory).map((line) => Number.parseInt(line, 10))
  for (const pid of [...named, ...(await engines.escaped())])
    if (await runs(pid)) process.kill(pid, 'SIGKILL')
}

/** Waits until both engines that hang have been started. */
export async function bothHang({ engines }: Scene): Promise<number[]> {
  for (;;) {
    const scans = (await engines.calls()).filter(({ args }) => args[0] !== 'version')
    const escaped = await engines.escaped()
    if (scans.length >= 2 && escaped.length >= 2) return [...scans.map(({ pid }) => pid), ...escaped]
    await new Promise((done) => setTimeout(done, 10))
  }
}
