/** What is read, held and written at once. */
export interface BatchLimits {
  /** Of new verdicts in one batch: characters of rows, and pairs with another holder. */
  characters: number
  pairs: number
  /** Packages, advisories and findings of a result that is ingested as a whole; larger ones go in windows. */
  whole: number
  /** Bytes of JSON of such a result. */
  bytes: number
  /** Packages and findings of one window. */
  window: number
  /** Characters of the last batch's values that are held in memory; more go to pages. */
  held: number
  /** Characters from which on a value goes to a page; smaller ones stay in their statement. */
  value: number
}

/** About a second of a single-threaded database, and some 20 MB of memory. */
export const BATCH_LIMITS: BatchLimits = {
  characters: 8_000_000,
  pairs: 100_000,
  whole: 20_000,
  bytes: 8_000_000,
  window: 8000,
  held: 2_000_000,
  value: 4000,
}
