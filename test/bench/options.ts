import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** How much is measured. */
export interface Plan {
  name: 'default' | 'quick' | 'full'
  /** Images of the organization that lists and storage are measured on, and rescans of each of its artifacts. */
  images: number
  rescans: number
  /** Times that each size is ingested afresh; figures are medians. */
  repeats: number
  /** Rounds of load for each target and number of connections, interleaved. */
  rounds: number
  roundMs: number
  /** Images that the organization has when portfolio pages are read, small organizations beside it, and that page. */
  portfolio: { images: number; neighbours: number; page: number; reads: number }
  /** Jobs in the queue when claims are timed, and live artifacts that a new verdict reaches. */
  queued: number
  holders: number
  /** How long the serving process is watched under load. */
  memorySeconds: number
}

const PLANS: Record<Plan['name'], Plan> = {
  quick: {
    ...{ name: 'quick', images: 54, rescans: 0.1, repeats: 1, rounds: 3, roundMs: 100 },
    portfolio: { images: 54, neighbours: 0, page: 10, reads: 10 },
    ...{ queued: 1000, holders: 600, memorySeconds: 3 },
  },
  // 200 images × 5 scans (three artifacts, two of them again) × 300 findings
  default: {
    ...{ name: 'default', images: 200, rescans: 2 / 3, repeats: 3, rounds: 5, roundMs: 400 },
    portfolio: { images: 200, neighbours: 3, page: 100, reads: 50 },
    ...{ queued: 10_000, holders: 2000, memorySeconds: 60 },
  },
  // 1,112 images × 3 artifacts × 300 findings: 1,000,800
  full: {
    ...{ name: 'full', images: 334, rescans: 2 / 3, repeats: 5, rounds: 9, roundMs: 500 },
    portfolio: { images: 1112, neighbours: 50, page: 100, reads: 200 },
    ...{ queued: 100_000, holders: 10_000, memorySeconds: 600 },
  },
}

export const CONNECTIONS = [1, 10, 50] as const
export const INGESTS = [
  { findings: 300, packages: 300 },
  { findings: 1500, packages: 500 },
  { findings: 5000, packages: 1500 },
] as const

export const USAGE = `usage: npm run bench -- [--quick | --full] [--json FILE]
  --quick      a small organization, few rounds: about a minute
  --full       1,000,000 findings, 50 organizations beside it, 100,000 jobs, ten minutes of load: about an hour
  --json FILE  where the figures go; a file in the system's temporary directory where absent`

/** Throws with a sentence for arguments that there are not. */
export function readOptions(args: readonly string[], now: Date): { plan: Plan; json: string } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  })
  if (values.quick && values.full) throw new Error('--quick and --full exclude each other')
  const stamp = now.toISOString().replaceAll(/[:.]/g, '-')
  return {
    plan: PLANS[values.quick ? 'quick' : values.full ? 'full' : 'default'],
    json: values.json ?? join(tmpdir(), `harborguard-bench-${stamp}.json`),
  }
}
