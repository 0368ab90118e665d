import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import type { BatchLimits } from '../../../src/risk/findings/limits.ts'
import { aContext } from '../context.ts'
import { endingAfter } from './ending.ts'
import { artifactsOf, aWorld, happen, happenAtOnce, imagined, type Step } from './histories.ts'
import { observe } from './observed.ts'
import { ordersOf, wrongByMatch } from './orders.ts'
import { PACKAGES, retire, SCHEDULES, scan, V, W } from './small-steps.ts'

let organizations = 110_000

/** One verdict a batch: two that appear are written ahead. */
const AHEAD: Partial<BatchLimits> = { characters: 600, pairs: 3 }
const LARGE = { ...AHEAD, whole: 0, window: 2 }

/** Round trips before the first verdict is written ahead. */
const WAYS = [
  { how: 'as a whole', limits: AHEAD, before: 2 },
  { how: 'in windows', limits: LARGE, before: 7 },
]

const RACES: { what: string; history: Step[]; pair: [Step, Step] }[] = [
  {
    what: 'a newer output of the artifact denies all, by an engine that runs there for the first time',
    history: [scan('a', 1, { trivy: [1, []] })],
    pair: [scan('a', 4, { grype: [4, [V, W]] }), scan('a', 5, { grype: [5, []] })],
  },
  {
    what: 'a newer output of the artifact comes from one engine of two',
    history: [scan('b', 1, { trivy: [1, []] })],
    pair: [
      scan('a', 4, { trivy: [4, [V, W]], grype: [4, [V, W]] }),
      scan('a', 5, { grype: [5, []] }, ['package-1']),
    ],
  },
  {
    what: 'severities of what another engine says come from verdicts that are overtaken',
    history: [scan('a', 1, { trivy: [1, [V, W]] }), scan('b', 1, { trivy: [1, [V, W]] }, PACKAGES, 1)],
    pair: [scan('a', 4, { grype: [4, [V, W]] }, null, 4), scan('a', 5, { grype: [5, []] }, null)],
  },
  {
    what: 'another artifact finds the same with an older database, before a third',
    history: [scan('c', 3, { trivy: [3, []] }), scan('d', 1, { trivy: [1, []] })],
    pair: [scan('a', 4, { trivy: [4, [V, W]] }), scan('b', 2, { trivy: [2, [V, W]] })],
  },
  {
    what: 'a holder that shows them as carried denies them',
    history: [scan('b', 1, { trivy: [1, []] }), scan('c', 6, { trivy: [6, []] })],
    pair: [scan('a', 4, { trivy: [4, [V, W]] }), scan('b', 5, { trivy: [5, []] })],
  },
  {
    what: 'the artifact retires',
    history: [scan('a', 1, { trivy: [1, [V]] }), scan('b', 1, { trivy: [1, []] })],
    pair: [scan('a', 4, { grype: [4, [V, W]] }), retire('a')],
  },
]

describe('a change while verdicts are written ahead', () => {
  for (const { how, limits, before } of WAYS) {
    it.each(RACES)(
      `leaves each match as some order does, ${how}: $what`,
      { timeout: 60_000 },
      async ({ history, pair }) => {
        const orders = ordersOf(history, pair)
        for (const schedule of SCHEDULES.filter((each) => each.startsWith('a'))) {
          const turns = 'a'.repeat(before) + schedule
          const seen = await happenAtOnce(organizations++, history, pair, turns, limits)
          expect(wrongByMatch(seen, orders), turns).toEqual([])
        }
      },
    )
  }
})

/** Ends right after the `batches`th batch of the step; false where the step has fewer. */
const ended = (ctx: Context, ids: Map<string, number>, step: Step, batches: number, scanId: string) =>
  happen({ ...ctx, db: endingAfter(ctx.db, batches) }, ids, step, AHEAD, scanId).then(
    () => false,
    () => true,
  )

describe('a result that ended while verdicts were written ahead', () => {
  const history = [scan('a', 1, { trivy: [1, [V, W]], osv: [1, [V]] }), scan('b', 1, { trivy: [1, []] })]
  const large = scan('a', 4, { trivy: [4, [W]], grype: [4, [V, W]] }, null, 4)

  async function anOrganization(): Promise<{ ctx: Context; ids: Map<string, number> }> {
    const ctx = aContext(organizations++)
    const ids = await artifactsOf(ctx, aWorld(0))
    for (const step of history) await happen(ctx, ids, step)
    return { ctx, ids }
  }

  it('takes nothing away and changes no word of another engine before its last batch', async () => {
    for (let k = 1, isEnd = false; !isEnd; k++) {
      const { ctx, ids } = await anOrganization()
      const before = await observe(ctx)
      isEnd = !(await ended(ctx, ids, large, k, 'scn_large'))
      const { verdicts, totals } = await observe(ctx)
      if (totals.unfinished !== null) expect(verdicts).toEqual(expect.arrayContaining(before.verdicts))
      await happen(ctx, ids, large, AHEAD, 'scn_large')
      expect(await observe(ctx), `ended after ${k}`).toEqual(imagined([...history, large]))
    }
  })

  it.each([
    ['that knows nothing of it', scan('a', 5, { trivy: [5, [V]], grype: [5, []] }, null)],
    ['of one of its engines', scan('a', 5, { grype: [5, []] }, null)],
    ['that finds a part of it', scan('a', 5, { trivy: [5, [V]], grype: [5, [W]] }, null)],
  ])('is taken back as far as nothing shows it, once it comes after an output %s', async (_what, newer) => {
    const orders = ordersOf(history, [large, newer])
    for (let k = 1, isEnd = false; !isEnd; k++) {
      const { ctx, ids } = await anOrganization()
      isEnd = !(await ended(ctx, ids, large, k, 'scn_large'))
      await happen(ctx, ids, newer)
      for (let again = 1; await ended(ctx, ids, large, again, 'scn_large'); again++);
      expect(wrongByMatch(await observe(ctx), orders), `ended after ${k}`).toEqual([])
    }
  })
})
