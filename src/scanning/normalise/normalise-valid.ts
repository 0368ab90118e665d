import type { EngineName } from '../sensors/result.ts'
import { type Normalised, normaliseReports, type Reports } from './normalise.ts'
import { ReportInvalid } from './report.ts'

/**
 * Normalises the reports that are in their engine's format. `invalid` names the others, each with what is wrong:
 * their engines count as failed, and the others' words stand.
 */
export function normaliseValid(reports: Reports): {
  normalised: Normalised
  invalid: Map<EngineName, string>
} {
  const invalid = new Map<EngineName, string>()
  const valid = { ...reports }
  for (;;) {
    try {
      return { normalised: normaliseReports(valid), invalid }
    } catch (error) {
      const engine = error instanceof ReportInvalid ? error.engine : null
      if (!isReported(engine) || valid[engine] === null) throw error
      invalid.set(engine, (error as Error).message)
      valid[engine] = null
    }
  }
}

const isReported = (engine: EngineName | null): engine is keyof Reports =>
  engine === 'trivy' || engine === 'grype' || engine === 'syft'
