import { countFinding, gradeOf, noCounts, riskOf } from '../../../src/risk/findings/grade.ts'
import { imagined, type Step } from './histories.ts'
import type { Observed } from './observed.ts'

/** What two steps at once may come to after a history. */
export interface Orders {
  /** One after the other, in either order. */
  whole: Observed[]
  /** The same with a scan ingested once more: written ahead before the other step, and again after it. */
  again: Observed[]
}

export function ordersOf(history: readonly Step[], [one, other]: readonly [Step, Step]): Orders {
  const after = (...steps: Step[]) => imagined([...history, ...steps])
  return {
    whole: [after(one, other), after(other, one)],
    again: [
      ...(one.kind === 'scan' ? [after(one, other, one)] : []),
      ...(other.kind === 'scan' ? [after(other, one, other)] : []),
    ],
  }
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b)

export const isOneOrder = (seen: Observed, { whole }: Orders): boolean =>
  whole.some((outcome) => same(seen, outcome))

/**
 * What is wrong with a state to which verdicts were written ahead: artifacts and links are those of one order, each
 * match (its findings, exclusions and first confirmations on all artifacts) is that of some, and counters follow.
 */
export function wrongByMatch(seen: Observed, { whole, again }: Orders): string[] {
  const wrong: string[] = []
  if (!whole.some((outcome) => same(artifactsOf(seen), artifactsOf(outcome)))) wrong.push('artifacts')
  const own = matchesOf(seen)
  const others = [...whole, ...again].map(matchesOf)
  for (const key of new Set([own, ...others].flatMap((each) => [...each.keys()])))
    if (!others.some((each) => same(each.get(key), own.get(key)))) wrong.push(key)
  return [...wrong, ...miscounted(seen)]
}

const artifactsOf = ({ packages, counters }: Observed) => ({
  packages,
  artifacts: Object.entries(counters).map(([name, text]) => [name, ...text.split(' ').slice(-4)]),
})

/** "package vulnerability" to all that is seen of it. */
function matchesOf({ findings, exclusions, verdicts }: Observed): Map<string, string[]> {
  const matches = new Map<string, string[]>()
  const add = (key: string, fact: string) => matches.set(key, [...(matches.get(key) ?? []), fact])
  for (const [kind, list] of Object.entries({ findings, exclusions })) {
    for (const [id, text] of Object.entries(list)) {
      const [artifact, ...key] = id.split(' ')
      add(key.join(' '), `${kind} ${artifact} ${text}`)
    }
  }
  for (const verdict of verdicts) {
    const [engine, name, id, first] = verdict.split(' ')
    add(`${name} ${id}`, `${engine} ${first}`)
  }
  return matches
}

/** Counters and totals that are not those of the findings. */
function miscounted({ findings, counters, images, totals }: Observed): string[] {
  const counts = new Map(Object.keys(counters).map((name) => [name, noCounts()]))
  const shown = new Map<string, number>()
  for (const [id, text] of Object.entries(findings)) {
    const [name, ...key] = id.split(' ')
    const [severity, cvss] = text.split(' ').slice(-2)
    countFinding(counts.get(name!)!, Number(severity), cvss === 'null' ? null : Number(cvss))
    shown.set(key.join(' '), Number(severity))
  }
  const wrong = [...counts].filter(([name, each]) => {
    const { critical, high, medium, low, unknown, cvssSum, cvssCount } = each
    const rated = [critical, high, medium, low, unknown, gradeOf(each), riskOf(each)].join(' ')
    return images[name] !== rated || !counters[name]!.startsWith(`${rated} ${cvssSum} ${cvssCount} `)
  })
  const total = [0, 1, 2, 3, 4].map((level) => [...shown.values()].filter((each) => each === level).length)
  const isTotal = same(totals, { kept: total, stored: total, unfinished: null })
  return [...wrong.map(([name]) => `counters of ${name}`), ...(isTotal ? [] : ['totals'])]
}
