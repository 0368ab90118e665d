import { type Dice, dice } from '../../risk/findings/world.ts'
import { pathsOf, SPOILINGS, WAYS } from './mutations.ts'
import { textOf, VALUES } from './values.ts'

/** One generated upload. `title` says how it was made; with the seed it is made again from its number alone. */
export interface Case {
  number: number
  title: string
  text: string
}

const JUNK = [
  '',
  ' ',
  'null',
  '0',
  '""',
  '[]',
  '{}',
  '{"a":1}',
  '\0',
  '<xml/>',
  '{{',
  '['.repeat(9999),
  'tru',
]

/** Any JSON value, at most `depth` containers in each other; its objects use the members of real envelopes often. */
function anything(random: Dice, names: readonly string[], depth: number): unknown {
  if (depth === 0 || random.chance(30)) return random.pick(VALUES)
  const size = random.below(6)
  if (random.chance(30)) return Array.from({ length: size }, () => anything(random, names, depth - 1))
  return Object.fromEntries(
    Array.from({ length: size }, () => [random.pick(names), anything(random, names, depth - 1)]),
  )
}

function randomText(random: Dice, names: readonly string[]): string {
  if (random.chance(15)) return random.pick(JUNK)
  if (random.chance(15))
    return String.fromCharCode(...Array.from({ length: 200 }, () => random.below(0x10000)))
  return textOf(anything(random, names, 4))
}

/**
 * Case `number` of `seed`: of 100, 70 have one change at one path, 14 two to five, 10 a spoilt text, and 6 are
 * random documents. The path goes round with the number, so that every path of `document` has its turns.
 */
export function aCase(seed: number, number: number, document: object): Case {
  const random = dice(seed ^ Math.imul(number + 1, 0x9e3779b1))
  const paths = pathsOf(document)
  const kind = random.below(100)
  if (kind >= 94) {
    const names = [...new Set(paths.flat().map(String)), '__proto__', 'constructor']
    return { number, title: 'a random document', text: randomText(random, names) }
  }
  if (kind >= 84) {
    const name = random.pick(Object.keys(SPOILINGS))
    return { number, title: `the text ${name}`, text: SPOILINGS[name]!(JSON.stringify(document), random) }
  }
  const changes = kind < 70 ? 1 : 2 + random.below(4)
  let changed: unknown = document
  const titles: string[] = []
  for (let change = 0; change < changes; change++) {
    const path = change === 0 ? paths[number % paths.length]! : random.pick(paths)
    const way = random.chance(45) ? 'replace' : random.pick(Object.keys(WAYS))
    changed = WAYS[way]!(changed, path, random, paths)
    titles.push(`${way} ${path.join('.')}`)
  }
  return { number, title: titles.join(', '), text: textOf(changed) }
}
