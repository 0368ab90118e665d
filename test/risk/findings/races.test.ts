import { describe, expect, it } from 'vitest'
import { aContext } from '../context.ts'
import { artifactsOf, aWorld, happen, happenAtOnce, imagined, type Step } from './histories.ts'
import { observe } from './observed.ts'
import { isOneOrder, ordersOf } from './orders.ts'
import { PACKAGES, retire, SCHEDULES, scan, V, W } from './small-steps.ts'

let organizations = 70_000

const RACES: { what: string; history: Step[]; pair: [Step, Step] }[] = [
  {
    what: 'two scans of one artifact, one with an older database',
    history: [scan('b', 5, { trivy: [5, [V]] }), scan('a', 1, { trivy: [1, [V]] })],
    pair: [scan('a', 4, { trivy: [4, [V]] }), scan('a', 3, { trivy: [3, [V]] })],
  },
  {
    what: 'two scans of one artifact with the same database',
    history: [scan('a', 1, { trivy: [1, [V]] })],
    pair: [scan('a', 2, { trivy: [2, [V, W]] }), scan('a', 3, { trivy: [2, [W]] })],
  },
  {
    what: 'the last artifact to show a verdict denies it while the engine runs elsewhere for the first time',
    history: [
      scan('c', 5, { trivy: [5, []], grype: [5, []] }),
      scan('a', 2, { trivy: [2, [V]], grype: [2, [W]] }),
      scan('b', 2, { grype: [2, [W]] }),
    ],
    pair: [scan('a', 3, { trivy: [3, []] }), scan('b', 3, { trivy: [2, [V]] })],
  },
  {
    what: 'the last artifact to show a verdict denies it while its package reaches another',
    history: [
      scan('c', 5, { trivy: [5, []] }),
      scan('b', 1, { trivy: [1, []] }, ['package-2']),
      scan('a', 2, { trivy: [2, [V]] }),
    ],
    pair: [scan('a', 3, { trivy: [3, []] }), scan('b', 3, {})],
  },
  {
    what: 'a verdict appears while another holder gets a newer database',
    history: [
      scan('c', 5, { trivy: [5, []] }),
      scan('a', 1, { trivy: [1, []] }),
      scan('b', 1, { trivy: [1, []] }),
    ],
    pair: [scan('a', 3, { trivy: [3, [V]] }), scan('b', 4, { trivy: [4, []] })],
  },
  {
    what: 'two artifacts find the same verdict at once',
    history: [
      scan('a', 1, { trivy: [1, []] }),
      scan('b', 1, { trivy: [1, []] }),
      scan('c', 3, { trivy: [3, []] }),
    ],
    pair: [scan('a', 2, { trivy: [2, [V]] }), scan('b', 3, { trivy: [3, [V]] })],
  },
  {
    what: 'two artifacts deny the same verdict at once',
    history: [scan('a', 1, { trivy: [1, [V]] }), scan('b', 1, { trivy: [1, [V]] })],
    pair: [scan('a', 2, { trivy: [2, []] }), scan('b', 2, { trivy: [2, []] })],
  },
  {
    what: 'an artifact retires while another denies what both show',
    history: [scan('a', 1, { trivy: [1, [V]] }), scan('b', 1, { trivy: [1, [V]] })],
    pair: [retire('a'), scan('b', 2, { trivy: [2, []] })],
  },
  {
    what: 'an artifact retires while it is scanned',
    history: [scan('a', 1, { trivy: [1, [V]] }), scan('b', 1, { trivy: [1, [W]] })],
    pair: [retire('a'), scan('a', 2, { trivy: [2, [V]] })],
  },
  {
    what: 'an artifact retires while its packages alone are listed again',
    history: [scan('a', 1, { trivy: [1, [V]] }), scan('b', 1, { trivy: [1, [V]] })],
    pair: [retire('a'), scan('a', 2, {})],
  },
]

const HISTORIES: { what: string; steps: Step[] }[] = [
  {
    what: 'a rescan that says the same makes its database the newest',
    steps: [
      scan('a', 1, { trivy: [1, [V]] }),
      scan('a', 5, { trivy: [5, [V]] }),
      scan('b', 5, { trivy: [3, [V]] }, PACKAGES, 1),
    ],
  },
  {
    what: 'an older database adds what no newer one denied',
    steps: [
      scan('a', 5, { trivy: [5, []] }),
      scan('b', 5, { trivy: [3, [V]] }),
      scan('c', 5, { trivy: [2, []] }),
    ],
  },
  {
    what: 'a verdict that came back is born anew',
    steps: [
      scan('b', 3, { trivy: [3, []] }),
      scan('a', 2, { trivy: [2, [V]] }),
      scan('a', 4, { trivy: [4, []] }),
      scan('a', 5, { trivy: [5, [V]] }),
    ],
  },
]

describe('a history', () => {
  it.each(HISTORIES)('ends as the naive model says: $what', async ({ steps }) => {
    const ctx = aContext(organizations++)
    const ids = await artifactsOf(ctx, aWorld(0))
    for (const step of steps) await happen(ctx, ids, step)
    expect(await observe(ctx)).toEqual(imagined(steps))
  })
})

describe('eight first scans at once', () => {
  it('all find their place: who loses a race has seen another win it', { timeout: 60_000 }, async () => {
    const org = organizations++
    const ctx = aContext(org)
    const names = Array.from({ length: 8 }, (_, index) => `many${index}`)
    const steps = names.map((name) => scan(name, 2, { trivy: [2, [V]] }))
    const ids = await artifactsOf(ctx, { ...aWorld(0), artifacts: names })
    await Promise.all(steps.map((step) => happen(aContext(org), ids, step)))
    expect(await observe(ctx)).toEqual(imagined(steps))
  })
})

describe('two changes at once', () => {
  it.each(RACES)('end as one after the other: $what', { timeout: 60_000 }, async ({ history, pair }) => {
    const orders = ordersOf(history, pair)
    for (const schedule of SCHEDULES) {
      const seen = await happenAtOnce(organizations++, history, pair, schedule)
      if (!isOneOrder(seen, orders)) expect(seen, schedule).toEqual(orders.whole[0])
    }
  })
})
