import { parseGrype } from './grype.ts'
import { type Joined, join } from './join.ts'
import type { NamedOs } from './report.ts'
import { parseSyft } from './syft.ts'
import { makeNotes } from './text.ts'
import { parseTrivy } from './trivy.ts'

/** The engines' parsed JSON documents; null for an engine that did not run or failed. */
export interface Reports {
  trivy: unknown | null
  grype: unknown | null
  syft: unknown | null
}

/** The part of the result envelope that the engines' words give. `logs` says what was cut or left out, and how often. */
export interface Normalised extends Joined {
  os: NamedOs | null
  logs: string[]
}

/**
 * Unites the engines' reports about one image. Pure and deterministic: the same words in any order give the
 * same result. Throws `ReportInvalid` for the first document that is not its engine's report.
 */
export function normaliseReports(reports: Reports): Normalised {
  const notes = makeNotes()
  const trivy = reports.trivy === null ? null : parseTrivy(reports.trivy, notes)
  const grype = reports.grype === null ? null : parseGrype(reports.grype, notes)
  const syft = reports.syft === null ? null : parseSyft(reports.syft, notes)
  const joined = join(
    {
      trivyPackages: trivy?.packages ?? [],
      syftPackages: syft?.packages ?? [],
      syftById: syft?.byId ?? new Map(),
      findings: [...(trivy?.findings ?? []), ...(grype?.findings ?? [])],
    },
    notes,
  )
  return { ...joined, os: trivy?.os ?? syft?.os ?? grype?.os ?? null, logs: notes.lines() }
}
