import { reason } from '../reasons.ts'
import { ENGINES, EngineName, type EngineRun } from '../sensors/result.ts'

export interface SaidOfEngines {
  /** SUCCESS: every engine worked; PARTIAL: some; null: the result does not say. */
  status: 'SUCCESS' | 'PARTIAL' | 'FAILED' | 'CANCELLED' | null
  /** The engines that the job asks for; empty for an upload without a job. */
  asked: readonly string[]
  /** Raw first lines; "unknown" for one that is not installed. */
  versions: Readonly<Record<string, unknown>>
  /** Engines of which at least one record is in the result. */
  recorded: ReadonlySet<EngineName>
}

const NOT_INSTALLED = 'unknown'

/**
 * What is known of the engines of an envelope 1.0, which reports none by itself. One counts as succeeded only where
 * the result shows it, so that nothing which only this engine knows is withdrawn by its silence: with SUCCESS all
 * that were asked for (without a job: all that the sensor has), otherwise those with at least one record; none with
 * FAILED.
 */
export function engineRuns(said: SaidOfEngines): EngineRun[] {
  const { status, asked, versions, recorded } = said
  const installed = Object.keys(versions).filter((name) => versionOf(versions[name]) !== null)
  const expected = new Set<string>([...(asked.length > 0 ? asked : installed), ...recorded])
  const hasFailed = status === 'FAILED' || status === 'CANCELLED'
  return ENGINES.filter((name) => expected.has(name)).map((name) =>
    runOf(name, said, !hasFailed && (status === 'SUCCESS' || recorded.has(name))),
  )
}

function runOf(name: EngineName, { versions }: SaidOfEngines, succeeded: boolean): EngineRun {
  const missing = !succeeded && versions[name] === NOT_INSTALLED
  return {
    name,
    version: versionOf(versions[name]),
    sha256: null,
    status: succeeded ? 'succeeded' : missing ? 'unavailable' : 'failed',
    durationMs: null,
    reason: succeeded ? null : missing ? NOT_THERE : NOT_SHOWN,
    database: null,
    raw: null,
  }
}

const NOT_THERE = reason('engine_unavailable', 'The sensor does not have it.')
const NOT_SHOWN = reason('engine_failed', 'Nothing of it is in the result, and the sensor does not say why.')

/** Free text, as the sensor says it. */
function versionOf(said: unknown): string | null {
  if (typeof said !== 'string') return null
  const version = said.toWellFormed().replaceAll('\0', '').trim().slice(0, 128)
  return version === '' || version === NOT_INSTALLED ? null : version.toWellFormed()
}

/** The engine that a record names, if it is one. */
export const engineNamed = (name: string | null | undefined): EngineName | null =>
  EngineName.safeParse(name?.toLowerCase()).data ?? null
