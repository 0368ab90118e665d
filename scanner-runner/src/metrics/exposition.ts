/** Prometheus' text format 0.0.4, and the three kinds of metrics that the runner has. */

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>

interface Sample {
  /** Behind the family's name: `_bucket`, `_sum`, `_count`. */
  suffix: string
  labels: Labels
  value: number
}

export interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  samples(): Sample[]
}

interface Counter extends Metric {
  add(labels: Labels, by?: number): void
}

interface Histogram extends Metric {
  observe(labels: Labels, value: number): void
}

const plain = (labels: Labels, value: number): Sample => ({ suffix: '', labels, value })
const keyOf = (labels: Labels): string => JSON.stringify(Object.entries(labels).sort())

/** Counts from 0; the series `known` are there from the start. */
export function counter(name: string, help: string, known: readonly Labels[] = [{}]): Counter {
  const series = new Map(known.map((labels) => [keyOf(labels), plain(labels, 0)]))
  return {
    ...{ name, help, type: 'counter' },
    add(labels, by = 1) {
      const one = series.get(keyOf(labels)) ?? plain(labels, 0)
      one.value += by
      series.set(keyOf(labels), one)
    },
    samples: () => [...series.values()],
  }
}

/** Asked when it is read. */
export const gauge = (name: string, help: string, read: () => [Labels, number][]): Metric => ({
  ...{ name, help, type: 'gauge' },
  samples: () => read().map(([labels, value]) => plain(labels, value)),
})

/** `bounds` grow; what is above the last is counted too. */
export function histogram(name: string, help: string, bounds: readonly number[]): Histogram {
  const series = new Map<string, { labels: Labels; sum: number; counts: number[] }>()
  return {
    ...{ name, help, type: 'histogram' },
    observe(labels, value) {
      const key = keyOf(labels)
      const one = series.get(key) ?? { labels, sum: 0, counts: [...bounds, 0].fill(0) }
      one.sum += value
      const at = bounds.findIndex((bound) => value <= bound)
      one.counts[at === -1 ? bounds.length : at]! += 1
      series.set(key, one)
    },
    samples: () => [...series.values()].flatMap((one) => samplesOf(one, bounds)),
  }
}

function samplesOf(
  { labels, sum, counts }: { labels: Labels; sum: number; counts: readonly number[] },
  bounds: readonly number[],
): Sample[] {
  let below = 0
  const buckets = counts.map((count, at) => {
    below += count
    return { suffix: '_bucket', labels: { ...labels, le: numberText(bounds[at] ?? Infinity) }, value: below }
  })
  return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: below }]
}

/** Every metric with its help and type. One without samples is left out. */
export const exposition = (metrics: readonly Metric[]): string =>
  metrics
    .map((metric) => [metric, metric.samples()] as const)
    .filter(([, samples]) => samples.length > 0)
    .map(([{ name, help, type }, samples]) =>
      [
        `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n`,
        `# TYPE ${name} ${type}\n`,
        ...samples.map(
          ({ suffix, labels, value }) => `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`,
        ),
      ].join(''),
    )
    .join('')

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escaped = (value: string): string =>
  value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

const numberText = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
