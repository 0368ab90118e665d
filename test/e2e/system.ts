import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureSampleDatabases } from '../../dev/local/databases.ts'
import { Processes } from '../../dev/local/processes.ts'
import { startRunner } from '../../dev/local/runner.ts'
import { openState } from '../../dev/local/state.ts'
import { ensureKeys } from '../../dev/local/tenancy.ts'
import { migrate, startWorker } from '../../dev/local/worker.ts'
import type { EngineName } from '../../scanner-runner/src/install/engine-manifest.ts'
import { enginesDirectory } from '../../scanner-runner/src/install/engines-directory.ts'
import { installEngines } from '../../scanner-runner/src/install/install-engines.ts'
import { aFreePort } from './a-port.ts'
import { processesNaming } from './processes-naming.ts'
import { writeWitnesses } from './witnessed-engines.ts'

const REGISTRY_TIMEOUT_MS = 4000 // a registry that says nothing is asked four times

/** The one running system of all end-to-end tests, as plain data. */
export interface RunningSystem {
  root: string
  /** Directory of everything that this run of the tests writes; gone afterwards. */
  work: string
  stateDir: string
  url: string
  operatorToken: string
  engines: Record<EngineName, string>
  /** Directory of the engines' witnesses, which the cloud runner runs. */
  witnessesDir: string
  /** What the engines wrote, by job: see `witnessed-engines.ts`. */
  wordsDir: string
  sampleDatabases: string
}

/**
 * Starts Worker and cloud runner as `npm start` does, in a directory of their own. `stop` ends both and rejects when
 * any process that names that directory is left.
 */
export async function startSystem(): Promise<{ system: RunningSystem; stop(): Promise<void> }> {
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
  const work = mkdtempSync(join(tmpdir(), 'harborguard-e2e-'))
  const processes = new Processes()
  process.once('exit', () => killWhatNames(work))
  try {
    const engines = await requiredEngines()
    const state = openState(join(work, 'state'))
    const sampleDatabases = await ensureSampleDatabases(join(work, 'sample-databases'), engines.grype)
    await migrate(root, state, processes)
    const worker = await startWorker(root, state, processes, await aFreePort(), {
      REGISTRY_TIMEOUT_MS: String(REGISTRY_TIMEOUT_MS),
    })
    const { runnerKey } = await ensureKeys(worker.url, state)
    await worker.runCron()
    const [witnessesDir, wordsDir] = [join(work, 'witnesses'), join(work, 'words')]
    mkdirSync(wordsDir)
    writeWitnesses(witnessesDir, engines, wordsDir)
    startRunner(
      {
        root,
        stateDir: state.dir,
        workerUrl: worker.url,
        apiKey: runnerKey,
        name: 'runner',
        enginesDir: witnessesDir,
        sampleDatabases,
      },
      processes,
    )
    const system = { root, work, stateDir: state.dir, url: worker.url, operatorToken: state.operatorToken }
    return {
      system: { ...system, engines, witnessesDir, wordsDir, sampleDatabases },
      stop: async () => {
        await processes.stopAll()
        await worker.stop()
        const left = processesNaming(work)
        rmSync(work, { recursive: true, force: true })
        if (left.length > 0) throw new Error(`processes left behind:\n${left.join('\n')}`)
      },
    }
  } catch (error) {
    await processes.stopAll()
    rmSync(work, { recursive: true, force: true })
    throw error
  }
}

/** What a run of the tests leaves that was itself ended by a signal: other files' processes, and the directory. */
function killWhatNames(work: string): void {
  for (const line of processesNaming(work)) {
    try {
      process.kill(Number.parseInt(line, 10), 'SIGKILL')
    } catch {
      // it has just ended
    }
  }
  rmSync(work, { recursive: true, force: true })
}

async function requiredEngines(): Promise<Record<EngineName, string>> {
  const engines = {} as Record<EngineName, string>
  for (const result of await installEngines(enginesDirectory())) {
    if ('unavailable' in result) throw new Error(result.unavailable)
    engines[result.name] = result.path
  }
  return engines
}
