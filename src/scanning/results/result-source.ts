import type { Result, ResultFinding, ResultPackage, ResultVulnerability } from '../sensors/result.ts'

/** A result but for its three lists. */
export type ResultHead = Omit<Result, 'packages' | 'vulnerabilities' | 'findings'>

export interface ResultElements {
  packages: ResultPackage
  vulnerabilities: ResultVulnerability
  findings: ResultFinding
}

export const RESULT_LISTS = ['packages', 'vulnerabilities', 'findings'] as const
export type ResultListName = (typeof RESULT_LISTS)[number]

/**
 * A list in slices, by number from 0; `wanted` passes over the others. A list has the same slices at every
 * reading, so that what a first reading learned of a slice lets a later one leave it out.
 */
export type ReadList<T> = (wanted?: (slice: number) => boolean) => AsyncIterable<readonly T[]>

/**
 * A valid result that is read in slices, as often as wanted: each list as `Result` would have it, in its order.
 * Only one slice of a list needs to be in memory at a time. Indexes in findings count over the whole lists; that they
 * point into them is not promised. Reading throws when the storage fails, never because of what a result says.
 */
export interface ResultSource {
  head: ResultHead
  /** Elements of each list. */
  counts: Readonly<Record<ResultListName, number>>
  /** About how many bytes of JSON the lists are: what is small is read as a whole. */
  bytes: number
  packages: ReadList<ResultPackage>
  vulnerabilities: ReadList<ResultVulnerability>
  findings: ReadList<ResultFinding>
}

const SLICE_ELEMENTS = 1000

/** A result that is in memory already. `bytes`: of the document that it was read from. */
export function resultInMemory(result: Result, bytes: number): ResultSource {
  const { packages, vulnerabilities, findings, ...head } = result
  return {
    head,
    counts: {
      packages: packages.length,
      vulnerabilities: vulnerabilities.length,
      findings: findings.length,
    },
    bytes,
    packages: readSlices(sliced(packages)),
    vulnerabilities: readSlices(sliced(vulnerabilities)),
    findings: readSlices(sliced(findings)),
  }
}

const sliced = <T>(list: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(list.length / SLICE_ELEMENTS) }, (_, number) =>
    list.slice(number * SLICE_ELEMENTS, (number + 1) * SLICE_ELEMENTS),
  )

/** A list whose slices are in memory. */
export const readSlices = <T>(slices: readonly (readonly T[])[]): ReadList<T> =>
  async function* (wanted = () => true) {
    for (const [number, slice] of slices.entries()) if (wanted(number)) yield slice
  }
