import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkedElements } from '../../../src/scanning/results/check-elements.ts'
import { openResult, resultInMemory } from '../../../src/scanning/results/index.ts'
import { ResultFinding, ResultPackage, ResultVulnerability } from '../../../src/scanning/sensors/result.ts'
import { aResult } from '../../risk/results.ts'
import { byItsSchema, bytesOf, changed, documents, opened, wholeOf } from './documents.ts'

const RUNS = 400

const whole = aResult({ packages: 40, findings: 60, engines: ['trivy', 'grype', 'osv', 'syft'] })
const LISTS = [
  ['packages', ResultPackage, whole.packages],
  ['vulnerabilities', ResultVulnerability, whole.vulnerabilities],
  ['findings', ResultFinding, whole.findings],
] as const

describe('the written-out checks', () => {
  it.each(LISTS)('agree with the schema of %s, in verdict and in value', (name, schema, elements) => {
    let refused = 0
    const own = fc.constantFrom(...(elements as Record<string, unknown>[]))
    const one = own.chain(changed)
    const candidates = fc.oneof(own, one, one.chain(changed), fc.constantFrom(null, [], 'x', 1))
    fc.assert(
      fc.property(candidates, (candidate) => {
        const given = JSON.parse(JSON.stringify(candidate))
        const { data } = schema.safeParse(given)
        if (data === undefined) refused++
        expect(checkedElements(name, [given])).toEqual(data === undefined ? null : [data])
      }),
      { numRuns: RUNS },
    )
    expect(refused).toBeGreaterThan(RUNS / 10)
    expect(refused).toBeLessThan((RUNS * 9) / 10)
  })
})

describe('a stored result', () => {
  it('is read as its schema reads the whole document, however it is written, damaged and cut', async () => {
    let valid = 0
    await fc.assert(
      fc.asyncProperty(documents, fc.integer({ min: 1, max: 3000 }), async (text, chunk) => {
        const wellFormed = text.toWellFormed()
        const expected = byItsSchema(wellFormed)
        if (expected) valid++
        expect(await wholeOf(await openResult(opened(bytesOf(wellFormed), chunk)))).toEqual(expected)
      }),
      { numRuns: RUNS },
    )
    expect(valid).toBeGreaterThan(RUNS / 10)
    expect(valid).toBeLessThan((RUNS * 9) / 10)
  })

  it('too large to keep is fetched again in the same slices, and only those that are wanted', async () => {
    const result = aResult({ packages: 30_000, findings: 3000 })
    const bytes = bytesOf(JSON.stringify(result))
    expect(bytes.length).toBeGreaterThan(8_000_000)
    let fetched = 0
    const open = opened(bytes, 50_000)
    const source = (await openResult((range) => {
      fetched += range?.length ?? 0
      return open(range)
    }))!
    expect(source.counts).toEqual({
      packages: 30_000,
      vulnerabilities: result.vulnerabilities.length,
      findings: result.findings.length,
    })
    expect(await wholeOf(source)).toEqual(result)
    const all: unknown[][] = []
    for await (const slice of source.packages()) all.push([...slice])
    const isWanted = (number: number) => number === 3 || number === 4 || number === 9
    fetched = 0
    const some: unknown[][] = []
    for await (const slice of source.packages(isWanted)) some.push([...slice])
    expect(some).toEqual([all[3], all[4], all[9]])
    expect(fetched).toBeLessThan(bytes.length / 20)
  })

  it('in memory is read in slices as well', async () => {
    const result = aResult({ packages: 2500, findings: 10 })
    const source = resultInMemory(result, 1)
    const sizes: number[] = []
    for await (const slice of source.packages((number) => number !== 1)) sizes.push(slice.length)
    expect(sizes).toEqual([1000, 500])
    expect(await wholeOf(source)).toEqual(result)
  })

  const text = JSON.stringify(aResult({ packages: 3, findings: 4 }))
  const big = (member: string) => text.replace('"logs":[]', member)
  it.each([
    [
      'an element above a megabyte',
      text.replace('"licenses":', `"x":"${'y'.repeat(1_000_000)}","licenses":`),
      false,
    ],
    [
      'an element below a megabyte',
      text.replace('"licenses":', `"x":"${'y'.repeat(990_000)}","licenses":`),
      true,
    ],
    ['a string of 50 MB', big(`"logs":[],"x":"${'y'.repeat(50_000_000)}"`), false],
    ['lists nested 10,000 deep', big(`"logs":[],"x":${'['.repeat(10_000)}${']'.repeat(10_000)}`), false],
    ['lists nested 90 deep', big(`"logs":[],"x":${'['.repeat(90)}${']'.repeat(90)}`), true],
    ['bytes that are no UTF-8', null, true],
  ])('with %s is bounded', async (_what, document, isRead) => {
    const bytes = document === null ? withBrokenUtf8(text) : bytesOf(document)
    const read = new TextDecoder().decode(bytes)
    const found = await wholeOf(await openResult(opened(bytes, 65_536)))
    expect(found !== null).toBe(isRead)
    if (isRead) expect(found).toEqual(byItsSchema(read))
  })

  it('that breaks off between two readings is an error, not a shorter result', async () => {
    const bytes = bytesOf(JSON.stringify(aResult({ packages: 30_000, findings: 10 })))
    const open = opened(bytes, 100_000)
    const short = opened(bytes.slice(0, 200_000), 100_000)
    const source = (await openResult((range) => (range ? short(range) : open())))!
    await expect(wholeOf(source)).rejects.toThrow('breaks off')
  })
})

function withBrokenUtf8(text: string): Uint8Array {
  const bytes = bytesOf(text)
  const at = text.indexOf('crafted')
  bytes.set([0xe2, 0x82, 0xff], at)
  return bytes
}
