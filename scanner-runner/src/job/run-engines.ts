import { join } from 'node:path'
import { reason } from '../../../src/scanning/reasons.ts'
import type { EngineName, EngineRun } from '../../../src/scanning/sensors/protocol.ts'
import { type EngineDriver, isRunnerEngine, type RunnerEngine } from '../engines/engine.ts'
import type { InstalledEngine } from '../engines/installed-engines.ts'
import { type EngineOutcome, type EngineTask, runEngine } from './run-engine.ts'

export type EngineStatus = 'pending' | 'running' | EngineRun['status']

export interface EnginesTask extends Omit<EngineTask, 'engine' | 'driver' | 'syftJson' | 'leftMs'> {
  /** The engines that the job asks for. */
  asked: readonly EngineName[]
  engines: readonly InstalledEngine[]
  drivers: Record<RunnerEngine, EngineDriver>
  deadlineMs: number
  onStatus: (engine: EngineName, status: EngineStatus) => void
}

/**
 * Runs trivy beside syft → grype on one pulled image. One outcome for each engine asked for, and for syft when grype
 * reads its list: what was not asked for but ran is said too.
 */
export async function runEngines(task: EnginesTask): Promise<EngineOutcome[]> {
  const installed = (name: EngineName) =>
    isRunnerEngine(name) ? task.engines.find((engine) => engine.name === name) : undefined
  const wants = (name: EngineName) => task.asked.includes(name)
  const run = async (name: RunnerEngine, syftJson: string | null): Promise<EngineOutcome | null> => {
    const engine = installed(name)
    if (!engine) return null
    task.onStatus(name, 'running')
    const leftMs = task.deadlineMs - Date.now()
    const outcome = await runEngine({ ...task, engine, driver: task.drivers[name], syftJson, leftMs })
    task.onStatus(name, outcome.run.status)
    return outcome
  }
  const catalogue = async () => {
    const listed = wants('syft') || (wants('grype') && installed('grype')) ? await run('syft', null) : null
    if (!wants('grype')) return [listed]
    if (listed?.run.status === 'failed') return [listed, grypeWithoutList(task, installed('grype'))]
    return [listed, await run('grype', listed ? join(listed.outDir, 'syft.json') : null)]
  }
  const results = await Promise.all([wants('trivy') ? run('trivy', null) : null, catalogue()])
  const ran = results.flat().filter((outcome) => outcome !== null)
  const missing = task.asked.filter((name) => !ran.some((outcome) => outcome.run.name === name))
  for (const name of missing) task.onStatus(name, 'unavailable')
  return [...ran, ...missing.map(unavailable)]
}

/** grype reads syft's list: without it grype has nothing to say. */
function grypeWithoutList(task: EnginesTask, engine: InstalledEngine | undefined): EngineOutcome | null {
  if (!engine) return null
  task.onStatus('grype', 'failed')
  const { name, version, sha256 } = engine
  const why = reason('engine_failed', 'syft, whose package list it reads, failed.')
  return notRun({ name, version, sha256, status: 'failed', reason: why })
}

/** What is said about an engine that this runner does not have. */
export const unavailable = (name: EngineName): EngineOutcome =>
  notRun({ name, version: null, sha256: null, status: 'unavailable', reason: reason('engine_unavailable') })

const notRun = (
  run: Pick<EngineRun, 'name' | 'version' | 'sha256' | 'status' | 'reason'>,
): EngineOutcome => ({
  run: { ...run, durationMs: null, database: null, raw: null },
  report: null,
  raw: null,
  outDir: '',
})
