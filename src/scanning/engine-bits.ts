import { ENGINES, type EngineName } from './sensors/result.ts'

/** A set of engines as a number: bit n is ENGINES[n]. */
export const engineBits = (names: readonly string[]): number =>
  ENGINES.reduce((bits, name, index) => (names.includes(name) ? bits | (1 << index) : bits), 0)

/** The engines of a set, in the order of ENGINES. */
export const enginesOf = (bits: number): EngineName[] => ENGINES.filter((_, index) => bits & (1 << index))

/** The engines a runner offers, from the versions it registered: those it has and can name. */
export const offeredBits = (scannerVersions: Readonly<Record<string, string>>): number =>
  engineBits(
    Object.entries(scannerVersions)
      .filter(([, version]) => version !== '' && version !== 'unknown')
      .map(([name]) => name),
  )

const size = (bits: number): number => enginesOf(bits).length

/**
 * The engines that a runner must offer to take a job at once: as many of those wanted as one live runner has.
 * 0 when no runner is live; null when runners are live and none offers any.
 */
export function neededBits(wanted: number, live: readonly number[]): number | null {
  if (live.length === 0) return 0
  const best = live.reduce(
    (most, offered) => (size(wanted & offered) > size(most) ? wanted & offered : most),
    0,
  )
  return best === 0 ? null : best
}
