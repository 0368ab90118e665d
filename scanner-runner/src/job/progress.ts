import type { EngineName, JobProgress } from '../../../src/scanning/sensors/protocol.ts'
import type { EngineStatus } from './run-engines.ts'

// The shares of the whole scan, 0–100: pulling ends at 40, the engines at 90, uploading at 95; the server ingests the rest.
const PULL_FROM = 2
const PULL_TO = 40
const ENGINES_TO = 90
const UPLOADED = 95

export interface ProgressTracker {
  pulling(receivedBytes: number, totalBytes: number): void
  engine(name: EngineName, status: EngineStatus): void
  uploading(done: number, total: number): void
  current(): JobProgress
}

/** Follows a job. `progress` never falls, also when a broken layer is fetched again. */
export function trackProgress(
  asked: readonly EngineName[],
  onChange: () => void,
  onPulled: (bytes: number) => void = () => {},
): ProgressTracker {
  const engines = new Map<EngineName, EngineStatus>(asked.map((name) => [name, 'pending']))
  let phase: JobProgress['phase'] = 'pulling'
  let progress = PULL_FROM
  let pulled = 0
  const advance = (to: number) => {
    const next = Math.max(progress, Math.min(100, Math.floor(to)))
    if (next === progress) return
    progress = next
    onChange()
  }
  return {
    pulling(received, total) {
      onPulled(Math.max(0, received - pulled))
      pulled = received
      advance(PULL_FROM + (PULL_TO - PULL_FROM) * (total > 0 ? received / total : 1))
    },
    engine(name, status) {
      phase = 'scanning'
      engines.set(name, status)
      const ended = [...engines.values()].filter((one) => one !== 'pending' && one !== 'running').length
      advance(PULL_TO + (ENGINES_TO - PULL_TO) * (ended / engines.size))
      onChange()
    },
    uploading(done, total) {
      phase = 'ingesting'
      advance(ENGINES_TO + (UPLOADED - ENGINES_TO) * (total > 0 ? done / total : 1))
    },
    current: () => ({ phase, progress, engines: [...engines].map(([name, status]) => ({ name, status })) }),
  }
}
