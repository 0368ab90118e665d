/**
 * Changes of an organization's matches that are written in several batches: while one is between two of them,
 * matches may exist that no live artifact shows yet, or any more. Lists of names, kept with the serial number.
 */

const MOST = 20 // names; behind them the list only says that there were more

const MORE = 'more'

const scanName = (artifact: number, scanId: string) => `scan ${artifact} ${scanId} `

/** A result whose verdicts are written ahead: all of them show once these engines of the scan are ingested. */
export const scanWork = (artifact: number, scanId: string, accepted: readonly string[]): string =>
  `${scanName(artifact, scanId)}${accepted.toSorted().join(',')}`

/** Names of what was written ahead for a scan. */
export const worksOfScan = (unfinished: readonly string[], artifact: number, scanId: string): string[] =>
  unfinished.filter((name) => name.startsWith(scanName(artifact, scanId)))

/** The engines that such a name tells. */
export const enginesOfWork = (work: string): string[] => work.slice(work.lastIndexOf(' ') + 1).split(',')

/** An artifact whose links go in slices. Its next ingest ends that as well. */
export const retireWork = (artifact: number): string => `retire ${artifact}`

/** The list with this work in it. A full list never becomes empty again. */
export const begun = (unfinished: readonly string[], work: string): readonly string[] =>
  unfinished.includes(work)
    ? unfinished
    : [...new Set([...unfinished, unfinished.length < MOST ? work : MORE])]

/** The list without this work; the same list where it is not in it. */
export const finished = (unfinished: readonly string[], ...work: string[]): readonly string[] =>
  unfinished.some((name) => work.includes(name))
    ? unfinished.filter((name) => !work.includes(name))
    : unfinished
