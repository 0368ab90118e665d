/** What one target did in one or more rounds of load. */
export interface Sample {
  /** Milliseconds of each answered request, in any order. */
  latencies: readonly number[]
  elapsedMs: number
}

export interface Summary {
  requests: number
  perSecond: number
  /** Milliseconds. */
  p50: number
  p99: number
}

/** The smallest value that at least `percent` of the values do not exceed (nearest rank). NaN of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const rank = Math.ceil((percent / 100) * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!
}

/** The middle value; the mean of the two middle ones of an even number. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

export const perSecond = ({ latencies, elapsedMs }: Sample): number => (latencies.length / elapsedMs) * 1000

/** All rounds of one target as one. */
export function summarise(rounds: readonly Sample[]): Summary {
  const latencies = rounds.flatMap((round) => round.latencies)
  const elapsedMs = rounds.reduce((sum, round) => sum + round.elapsedMs, 0)
  return {
    requests: latencies.length,
    perSecond: perSecond({ latencies, elapsedMs }),
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
  }
}

/**
 * How many times as fast as the base: the median of the ratios of rounds that ran beside each other, so that a
 * machine that was busy for one round does not decide. Both have the same number of rounds.
 */
export function throughputRatio(rounds: readonly Sample[], base: readonly Sample[]): number {
  if (rounds.length !== base.length) throw new Error('rounds without a partner')
  return median(rounds.map((round, index) => perSecond(round) / perSecond(base[index]!)))
}

/** Straight proportion: what `count` of something measured takes for `wanted` of them. */
export const extrapolate = (measured: number, count: number, wanted: number): number =>
  (measured / count) * wanted

/** What y grows by for one x more: the line of least squares. NaN below two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const spread = points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
  return points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) / spread
}
