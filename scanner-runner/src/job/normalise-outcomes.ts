import { reason } from '../../../src/scanning/reasons.ts'
import { type Normalised, normaliseReports, ReportInvalid } from '../normalise/index.ts'
import type { EngineOutcome } from './run-engine.ts'

/**
 * Normalises what the engines reported. An engine whose report turns out not to be in its format counts as failed,
 * and the others' words stand.
 */
export function normaliseOutcomes(outcomes: readonly EngineOutcome[]): {
  outcomes: EngineOutcome[]
  normalised: Normalised
} {
  let current = [...outcomes]
  for (;;) {
    const report = (name: string) => current.find(({ run }) => run.name === name)?.report ?? null
    try {
      const reports = { trivy: report('trivy'), grype: report('grype'), syft: report('syft') }
      return { outcomes: current, normalised: normaliseReports(reports) }
    } catch (error) {
      if (!(error instanceof ReportInvalid) || report(error.engine) === null) throw error
      const { engine } = error
      current = current.map((outcome) =>
        outcome.run.name === engine ? asInvalid(outcome, error.message) : outcome,
      )
    }
  }
}

const asInvalid = (outcome: EngineOutcome, detail: string): EngineOutcome => ({
  ...outcome,
  report: null,
  raw: null,
  run: { ...outcome.run, status: 'failed', raw: null, reason: reason('engine_output_invalid', detail) },
})
