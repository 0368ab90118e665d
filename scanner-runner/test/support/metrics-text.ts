/** A metric as a scrape reads it. */
export interface Family {
  type: 'counter' | 'gauge' | 'histogram'
  /** Values by their series, as `suffix{label="value"}`. */
  series: Map<string, number>
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ([^\n]+)$/
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^\n]*)\})? (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/

/**
 * Reads the text format 0.0.4 and throws for whatever is not exactly that: HELP and TYPE before the samples of each
 * family, no family or series twice, counters that are not negative, histograms whose buckets grow to their count.
 */
export function readMetrics(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, Family>()
  const lines = text.slice(0, -1).split('\n')
  for (let at = 0; at < lines.length; ) {
    const [, name] = match(HELP, lines[at++])
    const [, typed, type] = match(TYPE, lines[at++])
    if (typed !== name || families.has(name!))
      throw new Error(`${name} is described twice or by another's name`)
    const family: Family = { type: type as Family['type'], series: new Map() }
    while (at < lines.length && !lines[at]!.startsWith('#')) addSample(family, name!, lines[at++]!)
    if (family.series.size === 0) throw new Error(`${name} has no samples`)
    check(name!, family)
    families.set(name!, family)
  }
  return families
}

function match(form: RegExp, line: string | undefined): RegExpExecArray {
  const found = form.exec(line ?? '')
  if (!found) throw new Error(`not of the form ${form}: ${line}`)
  return found
}

function addSample({ type, series }: Family, family: string, line: string): void {
  const [, name = '', labels = '', value = ''] = match(SAMPLE, line)
  const suffix = name.slice(family.length)
  const allowed = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (!name.startsWith(family) || !allowed.includes(suffix)) throw new Error(`${name} is not of ${family}`)
  const pairs = labelsOf(labels).sort()
  const key = `${suffix}{${pairs.join(',')}}`
  if (series.has(key)) throw new Error(`${name}${key} is there twice`)
  series.set(key, value === '+Inf' ? Infinity : value === '-Inf' ? -Infinity : Number(value))
}

function labelsOf(text: string): string[] {
  const pairs: string[] = []
  for (let rest = text; rest !== ''; ) {
    const [whole, name] = match(LABEL, rest)
    if (pairs.some((pair) => pair.startsWith(`${name}=`))) throw new Error(`label ${name} twice`)
    pairs.push(whole.replace(/,$/, ''))
    rest = rest.slice(whole.length)
  }
  return pairs
}

function check(name: string, { type, series }: Family): void {
  if (type === 'counter' && !name.endsWith('_total')) throw new Error(`${name} does not end in _total`)
  if (type === 'counter' && [...series.values()].some((value) => !(value >= 0)))
    throw new Error(`${name} fell`)
  if (type !== 'histogram') return
  for (const [key, count] of series) {
    if (!key.startsWith('_count')) continue
    const labels = key.slice('_count{'.length, -1)
    const of = labels === '' ? '' : `,${labels}`
    const buckets = [...series].flatMap(([other, value]) => {
      const [, le] = /^_bucket\{(?:.*,)?le="([^"]+)"/.exec(other) ?? []
      const others = other
        .slice('_bucket{'.length, -1)
        .split(',')
        .filter((pair) => !pair.startsWith('le='))
      return le !== undefined && others.join() === labels
        ? [{ le: le === '+Inf' ? Infinity : Number(le), value }]
        : []
    })
    const ordered = buckets.every(
      ({ le, value }, at) => at === 0 || (le > buckets[at - 1]!.le && value >= buckets[at - 1]!.value),
    )
    const last = buckets.at(-1)
    if (!ordered || last?.le !== Infinity || last.value !== count || !series.has(`_sum{${labels}}`))
      throw new Error(`the buckets of ${name}{${of}} are not those of a histogram`)
  }
}
