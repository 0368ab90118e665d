import { FINDING_ENGINES, type FindingEngine } from '../../scanning/sensors/result.ts'

/** Engines as bits: `matches.engines`, `artifacts.ran` and `overrides.silent` are sets of them. */
export const ENGINE_BIT: Record<FindingEngine, number> = { trivy: 1, grype: 2, osv: 4 }

export type PerEngine<T> = Record<FindingEngine, T>

/** The same for each finding engine, in the order in which engines are asked: trivy, grype, osv. */
export const perEngine = <T>(make: (engine: FindingEngine) => T): PerEngine<T> => ({
  trivy: make('trivy'),
  grype: make('grype'),
  osv: make('osv'),
})

/** The engines of a set of bits, in that order. */
export const enginesOf = (bits: number): FindingEngine[] =>
  FINDING_ENGINES.filter((engine) => (bits & ENGINE_BIT[engine]) !== 0)

export const isFindingEngine = (name: string): name is FindingEngine =>
  (FINDING_ENGINES as readonly string[]).includes(name)
