import { type Normalised, normaliseValid } from '../../../src/scanning/normalise/index.ts'
import { reason } from '../../../src/scanning/reasons.ts'
import type { EngineOutcome } from './run-engine.ts'

/**
 * Normalises what the engines reported. An engine whose report turns out not to be in its format counts as failed,
 * and the others' words stand.
 */
export function normaliseOutcomes(outcomes: readonly EngineOutcome[]): {
  outcomes: EngineOutcome[]
  normalised: Normalised
} {
  const report = (name: string) => outcomes.find(({ run }) => run.name === name)?.report ?? null
  const { normalised, invalid } = normaliseValid({
    trivy: report('trivy'),
    grype: report('grype'),
    syft: report('syft'),
  })
  const judged = outcomes.map((outcome) => {
    const detail = invalid.get(outcome.run.name)
    return detail === undefined ? outcome : asInvalid(outcome, detail)
  })
  return { outcomes: judged, normalised }
}

const asInvalid = (outcome: EngineOutcome, detail: string): EngineOutcome => ({
  ...outcome,
  report: null,
  raw: null,
  run: { ...outcome.run, status: 'failed', raw: null, reason: reason('engine_output_invalid', detail) },
})
