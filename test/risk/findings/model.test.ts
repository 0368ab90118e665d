import { describe, expect, it } from 'vitest'
import { aContext } from '../context.ts'
import { artifactsOf, aWorld, happen, happenAtOnce, imagine, randomStep } from './histories.ts'
import { Model } from './model.ts'
import { expected, observe } from './observed.ts'
import { isOneOrder, ordersOf, wrongByMatch } from './orders.ts'
import { buildOf, dice, packagesOf, printedBy } from './world.ts'

/** `VITE_FINDINGS_SEEDS=100` runs that many histories, from seed `VITE_FINDINGS_FROM`. */
const settings = (import.meta as unknown as { env: Record<string, string | undefined> }).env
const FROM = Number(settings.VITE_FINDINGS_FROM ?? 11)
const seeds = (usual: number) =>
  Array.from({ length: Number(settings.VITE_FINDINGS_SEEDS ?? usual) }, (_, index) => FROM + index)
const STEPS = 80
const PAIRS = 12
/** Batches so small that most of what is new is written ahead. */
const SMALL = { characters: 600, pairs: 3 }
/** Windows of about two packages, and nearly every value in a page of its own. */
const WINDOWS = { whole: 0, window: 6, held: 100, value: 20 }
const LIMITS = [SMALL, WINDOWS, undefined, { ...SMALL, ...WINDOWS }]
const AHEAD: readonly unknown[] = [LIMITS[0], LIMITS[3]]

let organizations = 30_000

describe('findings under random histories', () => {
  it.each(seeds(6))(
    'are those of the naive model after every step (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const ctx = aContext(organizations++)
      const world = aWorld(seed)
      const random = dice(seed)
      const model = new Model()
      const ids = await artifactsOf(ctx, world)
      for (let tick = 0; tick < STEPS; tick++) {
        const step = randomStep(world, random, tick)
        const accepted = await happen(ctx, ids, step, LIMITS[tick % 4])
        expect(accepted).toEqual(imagine(model, step))
        expect(await observe(ctx), `seed ${seed}, step ${tick}`).toEqual(expected(model))
      }
    },
  )

  it.each(seeds(8))(
    'are those of one order, each match for itself where verdicts are written ahead, when two changes interleave (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const random = dice(seed)
      for (let pair = 0; pair < PAIRS; pair++) {
        const world = aWorld(mixedSeed(seed, pair))
        const history = Array.from({ length: 6 }, (_, tick) => randomStep(world, random, tick))
        const steps = [randomStep(world, random, 10), randomStep(world, random, 10)] as const
        const schedule = Array.from({ length: 9 }, () => random.pick(['a', 'b'])).join('')
        const orders = ordersOf(history, steps)
        for (const limits of [SMALL, LIMITS[1 + (pair % 3)]]) {
          const seen = await happenAtOnce(organizations++, history, steps, schedule, limits)
          const why = `seed ${seed}, pair ${pair}, schedule ${schedule}, ${JSON.stringify(limits)}`
          if (isOneOrder(seen, orders)) continue
          if (AHEAD.includes(limits)) expect(wrongByMatch(seen, orders), why).toEqual([])
          else expect(seen, why).toEqual(orders.whole[0])
        }
      }
    },
  )

  it.each(seeds(3))(
    'do not depend on the order once every artifact was scanned at the newest build (seed %i)',
    { timeout: 240_000 },
    async (seed) => {
      const seen = []
      for (const order of [0, 1]) {
        const ctx = aContext(organizations++)
        const world = { ...aWorld(seed), noise: 0 }
        const ids = await artifactsOf(ctx, world)
        const random = dice(seed + order)
        for (let tick = 0; tick < 12; tick++) await happen(ctx, ids, randomStep(world, random, tick))
        const names = order === 0 ? world.artifacts : world.artifacts.toReversed()
        for (const name of names) await happen(ctx, ids, finalScan({ ...world, day: 40 }, name, random))
        const { findings, counters, images } = await observe(ctx)
        seen.push({ findings, counters, images })
      }
      expect(seen[1]).toEqual(seen[0])
      expect(Object.keys(seen[0]!.findings).length).toBeGreaterThan(10)
    },
  )
})

const mixedSeed = (seed: number, pair: number) => seed * 1000 + pair

function finalScan(world: ReturnType<typeof aWorld>, artifact: string, random: ReturnType<typeof dice>) {
  const run = (engine: 'trivy' | 'grype' | 'osv') => ({
    build: buildOf(world.day),
    failed: false,
    printed: printedBy(world, engine, artifact, world.day, random),
  })
  const now = buildOf(world.day)
  return {
    kind: 'scan' as const,
    scan: {
      artifact,
      at: now,
      now,
      listed: packagesOf(world, artifact),
      engines: { trivy: run('trivy'), grype: run('grype'), osv: run('osv') },
    },
  }
}
