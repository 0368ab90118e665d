import type { FindingEngine } from '../../../src/scanning/sensors/result.ts'
import type { Step } from './histories.ts'
import { buildOf } from './world.ts'

export const V = 'package-1 CVE-2026-1000'
export const W = 'package-2 CVE-2026-1001'
export const PACKAGES = ['package-1', 'package-2']

/** A scan of day `at` whose engines have databases of these days and print these findings. */
export function scan(
  artifact: string,
  at: number,
  runs: Partial<Record<FindingEngine, [day: number, printed: string[]]>>,
  listed: string[] | null = PACKAGES,
  severity = 3,
): Step {
  const engines = Object.fromEntries(
    Object.entries(runs).map(([engine, [day, printed]]) => [
      engine,
      {
        build: buildOf(day),
        failed: false,
        printed: new Map(printed.map((key) => [key, { severity, cvss: 70 }])),
      },
    ]),
  )
  return { kind: 'scan', scan: { artifact, at: buildOf(at), now: buildOf(at), listed, engines } }
}

export const retire = (artifact: string): Step => ({ kind: 'retire', artifact })

/** Every way of interleaving, to the fifth round trip. */
export const SCHEDULES = Array.from({ length: 32 }, (_, bits) =>
  bits.toString(2).padStart(5, '0').replaceAll('0', 'a').replaceAll('1', 'b'),
)
