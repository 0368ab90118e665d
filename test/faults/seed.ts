import { env } from 'cloudflare:workers'
import { mixed } from '../risk/results.ts'

/** `HG_FAULT_SEED`, else one of this run. Printed by each file, so that a run can be had again. */
export const SEED = Number((env as { HG_FAULT_SEED?: string }).HG_FAULT_SEED || Date.now() % 1_000_000_007)

/** `HG_CHAOS_SCANS`, else what `npm test` runs. */
export const CHAOS_SCANS = Number((env as { HG_CHAOS_SCANS?: string }).HG_CHAOS_SCANS || 1000)

/** Numbers in [0, 1) that follow from the seed alone. */
export function randomFrom(seed: number): () => number {
  let turn = 0
  return () => mixed(seed, turn++) / 2 ** 32
}
