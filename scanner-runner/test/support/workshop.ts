import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Config, parseConfig } from '../../src/config.ts'
import { RUNNER_ENGINES, type RunnerEngine } from '../../src/engines/engine.ts'
import { aDirectory } from './directory.ts'

export const API_KEY = `hg_rk_${'c0'.repeat(24)}`
const FAKE_ENGINE = fileURLToPath(new URL('./fake-engine.mjs', import.meta.url))

export interface FakeEngines {
  directory: string
  /** How the engine behaves from now on; see fake-engine.mjs. */
  behave(name: RunnerEngine, mode: string): Promise<void>
  calls(): Promise<
    {
      name: string
      args: string[]
      env: Record<string, string>
      cwd: string[]
      home: string[]
      pid: number
    }[]
  >
  /** Processes that left their engine's group. */
  escaped(): Promise<number[]>
}

/** Executables named like the engines, in a directory of their own. */
export async function fakeEngines(names: readonly RunnerEngine[] = RUNNER_ENGINES): Promise<FakeEngines> {
  const directory = await aDirectory()
  for (const name of names) {
    const path = join(directory, name)
    await writeFile(
      path,
      `#!/bin/sh\nexec "${process.execPath}" "${FAKE_ENGINE}" "${directory}" ${name} "$@"\n`,
    )
    await chmod(path, 0o755)
  }
  const lines = async (file: string) =>
    (await readFile(join(directory, file), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
  return {
    directory,
    behave: (name, mode) => writeFile(join(directory, `${name}.mode`), mode),
    calls: async () => (await lines('calls.ndjson')).map((line) => JSON.parse(line)),
    escaped: async () => (await lines('escaped.pids')).map(Number),
  }
}

/** A directory of sample databases, as far as the runner looks into them. */
export async function sampleDatabases(): Promise<string> {
  const directory = await aDirectory()
  await mkdir(join(directory, 'trivy', 'db'), { recursive: true })
  const metadata = { Version: 2, UpdatedAt: '2020-01-01T00:00:00.123456789Z' }
  await writeFile(join(directory, 'trivy', 'db', 'metadata.json'), JSON.stringify(metadata))
  await writeFile(join(directory, 'trivy', 'db', 'trivy.db'), 'database')
  const said = { source: 'sample', advisories: 25, builtAt: '2020-01-01T00:00:00Z' }
  await writeFile(join(directory, 'sample.json'), JSON.stringify({ trivy: said, grype: said }))
  return directory
}

/** The runner's environment for a test: fake engines, sample databases, loopback allowed. */
export async function anEnvironment(
  dashboardUrl: string,
  engines: FakeEngines,
  over: Record<string, string> = {},
): Promise<Record<string, string>> {
  return {
    HG_DASHBOARD_URL: dashboardUrl,
    HG_API_KEY: API_KEY,
    HG_AGENT_NAME: 'test-runner',
    HG_WORK_DIR: join(await aDirectory(), 'work'),
    HG_ENGINES_DIR: engines.directory,
    HG_SAMPLE_DATABASES: await sampleDatabases(),
    HG_ALLOW_PRIVATE_NETWORKS: 'true',
    HG_POLL_INTERVAL_MS: '100',
    HG_METRICS_PORT: 'off',
    ...over,
  }
}

export function configOf(environment: Record<string, string>): Config {
  const parsed = parseConfig(environment, () => '')
  if (!parsed.ok) throw new Error(parsed.problems.join('; '))
  return parsed.config
}
