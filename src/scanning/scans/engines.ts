import { isReasonCode, type ReasonCode, reason, type ScanReason } from '../reasons.ts'
import type { EngineDatabase, EngineName, EngineRun, Result } from '../sensors/result.ts'

type EngineStatus = 'pending' | 'running' | 'succeeded' | 'failed' | 'unavailable' | 'skipped'

/** One engine of a scan, as the API shows it and as it is stored beside the scan. */
export interface ScanEngine {
  name: string
  version: string | null
  status: EngineStatus
  durationMs: number | null
  reason: ScanReason | null
  database: EngineDatabase | null
}

/** Why an engine's output was recorded but changed no finding. */
export interface EngineRefusal {
  engine: EngineName
  code: string
}

/** Every engine asked for, and none else: one that the runner does not mention was not available to it. */
export function scanEngines(
  asked: readonly string[],
  runs: readonly EngineRun[],
  refused: readonly EngineRefusal[],
): ScanEngine[] {
  return asked.map((name) => {
    const run = runs.find((candidate) => candidate.name === name)
    if (!run) return { ...pendingEngine(name), status: 'unavailable', reason: reason('engine_unavailable') }
    const refusal = refused.find(({ engine }) => engine === name)
    return {
      name,
      version: run.version,
      status: run.status,
      durationMs: run.durationMs,
      reason: refusal ? refusalReason(refusal.code) : known(run.reason, 'engine_failed'),
      database: run.database,
    }
  })
}

/** The engines that a scan is about: those asked for; where nobody asked (an upload without a job), those reported. */
export const namedEngines = (asked: readonly string[], runs: readonly EngineRun[]): string[] =>
  asked.length > 0 ? [...asked] : [...new Set(runs.map(({ name }) => name))]

const refusalReason = (code: string): ScanReason =>
  isReasonCode(code) ? reason(code) : reason('database_older')

/** A runner's reason as it is when its code is in the catalogue, else under `fallback`. */
function known(given: { code: string; message: string } | null, fallback: ReasonCode): ScanReason | null {
  if (given === null) return null
  return isReasonCode(given.code)
    ? { code: given.code, message: given.message }
    : reason(fallback, given.message)
}

export const pendingEngine = (name: string): ScanEngine => ({
  name,
  version: null,
  status: 'pending',
  durationMs: null,
  reason: null,
  database: null,
})

/** An engine of a scan that ended without its output. */
export const skippedEngine = (name: string): ScanEngine => ({ ...pendingEngine(name), status: 'skipped' })

/** How a scan ends, from what its engines did: any success is a result, anything less than all of them partial. */
export function outcomeOf(
  engines: readonly ScanEngine[],
  result: { scan: Pick<Result['scan'], 'reason'>; image: unknown },
): { kind: 'complete'; partial: boolean } | { kind: 'failed'; reason: ScanReason } {
  const succeeded = engines.filter(({ status }) => status === 'succeeded').length
  if (succeeded > 0 && result.image) {
    return { kind: 'complete', partial: succeeded < engines.length }
  }
  const given = known(result.scan.reason, 'runner_error')
  if (given) return { kind: 'failed', reason: given }
  const unavailable = engines.length > 0 && engines.every(({ status }) => status === 'unavailable')
  return { kind: 'failed', reason: reason(unavailable ? 'engine_unavailable' : 'all_engines_failed') }
}
