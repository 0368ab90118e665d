import { env } from 'cloudflare:workers'

/** How many cases, and from which seed: `HG_FUZZ_CASES` and `HG_FUZZ_SEED` of `npm test` (a longer run, another one). */
const numberOf = (name: string, otherwise: number): number =>
  Number((env as unknown as Record<string, string | undefined>)[name] || otherwise)

export const CASES = Math.max(1, numberOf('HG_FUZZ_CASES', 10_000))
export const SEED = numberOf('HG_FUZZ_SEED', 20_261_128)

/** Of the same cases, every so many-th goes the whole way. */
export const EVERY = 10
