import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** How much is measured. */
export interface Plan {
  name: 'default' | 'quick'
  /** Images made through the ingest path before anything is timed, an even number: storage and the lists' data. */
  images: number
  /** Times that each size is ingested afresh; figures are medians. */
  repeats: number
  /** Rounds of load for each target and number of connections, interleaved. */
  rounds: number
  roundMs: number
}

const PLANS: Record<Plan['name'], Plan> = {
  default: { name: 'default', images: 80, repeats: 3, rounds: 5, roundMs: 400 },
  quick: { name: 'quick', images: 60, repeats: 1, rounds: 3, roundMs: 150 },
}

export const CONNECTIONS = [1, 10] as const
export const INGESTS = [
  { findings: 300, packages: 300 },
  { findings: 1500, packages: 500 },
  { findings: 5000, packages: 1500 },
] as const

export const USAGE = `usage: npm run bench -- [--quick] [--json FILE]
  --quick      fewer images, rounds and repeats: below a minute
  --json FILE  where the figures go; a file in the system's temporary directory where absent`

/** Throws with a sentence for arguments that there are not. */
export function readOptions(args: readonly string[], now: Date): { plan: Plan; json: string } {
  const { values } = parseArgs({
    args: [...args],
    options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
  })
  const stamp = now.toISOString().replaceAll(/[:.]/g, '-')
  return {
    plan: PLANS[values.quick ? 'quick' : 'default'],
    json: values.json ?? join(tmpdir(), `harborguard-bench-${stamp}.json`),
  }
}
