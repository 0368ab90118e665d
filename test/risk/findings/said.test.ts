import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Said, Verdict } from '../../../src/risk/findings/merge.ts'
import { readSaid, saidText } from '../../../src/risk/findings/said.ts'
import { FIX_STATES, SEVERITIES } from '../../../src/scanning/sensors/result.ts'

const VECTOR = 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H'

const verdict = (given: Partial<Verdict> = {}): Verdict => ({
  ...{ severity: 'HIGH', cvss: 9.8, vector: VECTOR, cvssSource: 'nvd', cvssVersion: '3.1' },
  ...{ fixState: 'fixed', fixedVersions: ['3.0.9', '3.1'] },
  ...given,
})

const vectors = fc.constantFrom(null, '', VECTOR, 'AV:N/AC:L/Au:N/C:P/I:P/A:P', '1')
const verdicts: fc.Arbitrary<Verdict> = fc.record({
  severity: fc.constantFrom(...SEVERITIES),
  cvss: fc.option(fc.integer({ min: 0, max: 100 }).map((tenths) => tenths / 10)),
  vector: vectors,
  cvssSource: fc.option(fc.constantFrom('nvd', 'ghsa', 'debian')),
  cvssVersion: fc.constantFrom(null, '2.0' as const, '3.0' as const, '3.1' as const, '4.0' as const),
  fixState: fc.constantFrom(...FIX_STATES),
  fixedVersions: fc.array(fc.string(), { maxLength: 3 }),
})

describe('what engines say about a match', () => {
  it('is read as it was written, member for member in the same order', () => {
    const said = fc.record({ trivy: verdicts, grype: verdicts, osv: verdicts }, { requiredKeys: [] })
    fc.assert(
      fc.property(said, vectors, (given, vector) => {
        const read = readSaid(saidText(given, vector), vector)
        const inOrder = Object.fromEntries(
          (['trivy', 'grype', 'osv'] as const).flatMap((engine) =>
            given[engine] ? [[engine, given[engine]]] : [],
          ),
        )
        expect(JSON.stringify(read)).toBe(JSON.stringify(inOrder))
      }),
    )
  })

  it('is one text, whichever engine came first', () => {
    expect(saidText({ grype: verdict(), trivy: verdict() }, VECTOR)).toBe(
      saidText({ trivy: verdict(), grype: verdict() }, VECTOR),
    )
  })

  it('takes a second engine of the same opinion, and the vector that the row shows, for a few characters', () => {
    const one = saidText({ trivy: verdict() }, VECTOR)
    expect(saidText({ trivy: verdict(), grype: verdict() }, VECTOR).length).toBe(one.length + 2)
    expect(saidText({ trivy: verdict() }, null).length).toBe(one.length + VECTOR.length + 1)
  })

  it('is read from rows that hold the object itself', () => {
    const said: Said = { grype: verdict() }
    expect(readSaid(JSON.stringify(said), VECTOR)).toEqual(said)
  })
})
