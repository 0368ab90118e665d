import { describe, expect, it } from 'vitest'
import { extrapolate, median, percentile, slope, summarise, throughputRatio } from '../../bench/statistics.ts'

const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)

describe('percentile', () => {
  it('is the smallest value that so many per cent do not exceed, in whatever order they come', () => {
    expect(percentile(hundred, 50)).toBe(50)
    expect(percentile(hundred, 99)).toBe(99)
    expect(percentile([...hundred, 1000], 99)).toBe(100)
    expect(percentile(hundred, 100)).toBe(100)
    expect(percentile(hundred, 0)).toBe(1)
  })

  it('is the only value of one, and no number of nothing', () => {
    expect(percentile([7], 1)).toBe(7)
    expect(percentile([7], 99)).toBe(7)
    expect(percentile([], 50)).toBeNaN()
  })

  it('orders by size, not by spelling, and leaves what it was given as it is', () => {
    const values = [10, 9, 100]
    expect(percentile(values, 100)).toBe(100)
    expect(values).toEqual([10, 9, 100])
  })
})

describe('median', () => {
  it('is the middle value, or the mean of the middle two', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([1, 9, 5, 7])).toBe(6)
    expect(median([])).toBeNaN()
  })
})

describe('summarise', () => {
  it('counts all rounds as one: requests by the time of all of them', () => {
    const rounds = [
      { latencies: [1, 2, 3], elapsedMs: 1000 },
      { latencies: [4], elapsedMs: 3000 },
    ]
    expect(summarise(rounds)).toEqual({ requests: 4, perSecond: 1, p50: 2, p99: 4 })
  })
})

describe('throughputRatio', () => {
  const round = (requests: number) => ({ latencies: Array<number>(requests).fill(1), elapsedMs: 1000 })

  it('is what most rounds say, however much one of them was disturbed', () => {
    expect(throughputRatio([round(50), round(1), round(100)], [round(100), round(100), round(200)])).toBe(0.5)
  })

  it('compares throughput, not the number of requests', () => {
    const longer = { latencies: Array<number>(100).fill(1), elapsedMs: 2000 }
    expect(throughputRatio([longer], [round(100)])).toBe(0.5)
  })

  it('refuses rounds without a partner', () => {
    expect(() => throughputRatio([round(1)], [])).toThrow('rounds without a partner')
  })
})

it('extrapolates in straight proportion', () => {
  expect(extrapolate(1000, 50, 300)).toBe(6000)
})

describe('slope', () => {
  it('is what y grows by for one x, through the middle of what strays', () => {
    const line = [0, 1, 2, 3].map((x) => [x, 5 + 2 * x] as const)
    expect(slope(line)).toBe(2)
    expect(
      slope([
        [0, 0],
        [1, 3],
        [2, 0],
      ]),
    ).toBe(0)
  })

  it('is no number of one point', () => expect(slope([[1, 1]])).toBeNaN())
})
