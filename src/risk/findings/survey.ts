import type { ResultSource } from '../../scanning/results/index.ts'
import type { Acceptance } from './accept.ts'
import { ENGINE_BIT } from './engines.ts'
import { DanglingFinding } from './incoming.ts'

/** What the findings of a large result are about, in numbers. */
export interface Survey {
  /** Counted findings by index of the package. */
  findings: Uint32Array
  /** Engines (bits) whose counted findings name an advisory, by its index. */
  engines: Uint8Array
  /** The lowest and highest package index that a slice's counted findings name; the reverse where there is none. */
  slices: { first: number; last: number }[]
}

/** One reading of the findings. Throws DanglingFinding. */
export async function surveyFindings(
  { counts, findings }: ResultSource,
  { builds }: Pick<Acceptance, 'builds'>,
): Promise<Survey> {
  const survey: Survey = {
    findings: new Uint32Array(counts.packages),
    engines: new Uint8Array(counts.vulnerabilities),
    slices: [],
  }
  for await (const slice of findings()) {
    const range = { first: counts.packages, last: -1 }
    for (const { engine, package: index, vulnerability } of slice) {
      if (builds[engine] === undefined) continue
      if (index >= counts.packages || vulnerability >= counts.vulnerabilities) throw new DanglingFinding()
      survey.findings[index]!++
      survey.engines[vulnerability]! |= ENGINE_BIT[engine]
      range.first = Math.min(range.first, index)
      range.last = Math.max(range.last, index)
    }
    survey.slices.push(range)
  }
  return survey
}
