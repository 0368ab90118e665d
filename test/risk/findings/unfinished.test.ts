import { describe, expect, it } from 'vitest'
import {
  begun,
  enginesOfWork,
  finished,
  retireWork,
  scanWork,
  worksOfScan,
} from '../../../src/risk/findings/unfinished.ts'

const works = Array.from({ length: 30 }, (_, artifact) => retireWork(artifact))

describe('changes that are written in part', () => {
  it('are named once, until they end', () => {
    const [one, two] = [scanWork(1, 'scn_1', ['trivy', 'grype']), retireWork(1)]
    const both = begun(begun(begun([], one), two), one)
    expect(both).toEqual([one, two])
    expect(finished(both, scanWork(1, 'scn_1', ['grype', 'trivy']), two)).toEqual([])
  })

  it('end neither with another scan of the artifact nor with fewer engines', () => {
    const list = begun([], scanWork(1, 'scn_1', ['trivy', 'grype']))
    expect(finished(list, scanWork(1, 'scn_1', ['grype']))).toBe(list)
    expect(finished(list, scanWork(1, 'scn_2', ['trivy', 'grype']))).toBe(list)
    expect(finished(list, scanWork(2, 'scn_1', ['trivy', 'grype']))).toBe(list)
  })

  it('are found by their scan, with the engines that were written ahead', () => {
    const list = [scanWork(1, 'scn_1', ['trivy']), scanWork(1, 'scn_1', ['osv', 'grype'])]
    const others = [scanWork(1, 'scn_11', ['trivy']), scanWork(11, 'scn_1', ['trivy']), retireWork(1)]
    const found = worksOfScan([...others, ...list], 1, 'scn_1')
    expect(found).toEqual(list)
    expect(found.flatMap(enginesOfWork)).toEqual(['trivy', 'grype', 'osv'])
  })

  it('are bounded, and too many of them never look like none', () => {
    const many = works.reduce<readonly string[]>(begun, [])
    expect(many.length).toBeLessThan(works.length)
    expect(finished(many, ...works)).toHaveLength(1)
  })
})
