import type { Affected, Ecosystem, Interval } from '../advisories/advisory.ts'

/** A version constraint in the engines' comma form, and the version that fixes it (null where none is known). */
interface Constraint {
  /** Bounds joined by `, `; empty for every version. */
  bounds: string[]
  fixed: string | null
}

/** The affected versions of an entry: one constraint for each interval and each version that is listed singly. */
export function constraintsOf(affected: Affected): Constraint[] {
  return [
    ...affected.intervals.map((interval) => ({ bounds: boundsOf(interval), fixed: interval.fixed })),
    ...affected.versions.map((version) => ({ bounds: [`=${version}`], fixed: null })),
  ]
}

/** `introduced` null gives no lower bound: `>=0` would miss Go's `v0.0.0-…` pseudo-versions and other pre-releases of 0. */
function boundsOf(interval: Interval): string[] {
  return [
    ...(interval.introduced === null ? [] : [`>=${interval.introduced}`]),
    ...(interval.fixed === null ? [] : [`<${interval.fixed}`]),
    ...(interval.lastAffected === null ? [] : [`<=${interval.lastAffected}`]),
  ]
}

/** Trivy knows no empty constraint; these match every version of their ecosystem, pre-releases of 0 included. */
const EVERY_VERSION: Record<Exclude<Ecosystem, 'debian' | 'alpine'>, string> = {
  npm: '>=0.0.0-0',
  go: '>=0.0.0-0',
  pypi: '>=0.dev0',
  maven: '>=0-alpha',
}

/** Trivy's `VulnerableVersions` entry. */
export function trivyConstraint(ecosystem: keyof typeof EVERY_VERSION, constraint: Constraint): string {
  return constraint.bounds.length ? constraint.bounds.join(', ') : EVERY_VERSION[ecosystem]
}

/** Grype's name for how an ecosystem's versions compare; on a wrong one it matches nothing and says nothing. */
const GRYPE_RANGE_TYPE: Record<Ecosystem, string> = {
  npm: 'semver',
  pypi: 'python',
  go: 'go',
  maven: 'maven',
  debian: 'dpkg',
  alpine: 'apk',
}

/** Grype's range; without a constraint it means every version. */
export function grypeVersionRange(
  ecosystem: Ecosystem,
  constraint: Constraint,
): { type: string; constraint?: string } {
  const type = GRYPE_RANGE_TYPE[ecosystem]
  return constraint.bounds.length ? { type, constraint: constraint.bounds.join(',') } : { type }
}
