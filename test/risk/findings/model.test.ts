import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { retireArtifact } from '../../../src/risk/findings/retire.ts'
import { aContext, anArtifact } from '../context.ts'
import { Model, type WorldScan } from './model.ts'
import { expected, type Observed, observe } from './observed.ts'
import { type Dice, dice, randomScan, resultOf, type World } from './world.ts'

let organizations = 30_000
/** `VITE_FINDINGS_SEEDS=100` runs that many histories, from seed `VITE_FINDINGS_FROM`. */
const settings = (import.meta as unknown as { env: Record<string, string | undefined> }).env
const FROM = Number(settings.VITE_FINDINGS_FROM ?? 11)
const SEEDS = Array.from({ length: Number(settings.VITE_FINDINGS_SEEDS ?? 6) }, (_, index) => FROM + index)
const STEPS = 80

const aWorld = (seed: number): World => ({
  seed,
  artifacts: ['a', 'b', 'c', 'd', 'e'],
  packages: 6,
  vulnerabilities: 3,
  day: 3,
  noise: 1,
})

async function artifactsOf(ctx: Context, world: World): Promise<Map<string, number>> {
  const ids = new Map<string, number>()
  for (const name of world.artifacts) ids.set(name, await anArtifact(ctx, name))
  return ids
}

const ingest = (ctx: Context, artifact: number, scan: WorldScan) =>
  ingestResult(
    { ...ctx, now: scan.now },
    { artifact, scanId: 'scn', scannedAt: scan.at, result: resultOf(scan), finish: [] },
  )

/** Images of retired artifacts keep their last counters; they are not compared. */
const comparable = (seen: Observed): Observed => ({
  ...seen,
  images: Object.fromEntries(Object.entries(seen.images).filter(([name]) => name in seen.counters)),
})

async function step(
  ctx: Context,
  world: World,
  random: Dice,
  ids: Map<string, number>,
  model: Model,
  tick: number,
) {
  if (random.chance(8)) world.day++
  if (random.chance(6)) {
    const name = random.pick(world.artifacts)
    await retireArtifact(ctx, ids.get(name)!)
    model.retire(name)
    return `retire ${name}`
  }
  const scan = randomScan(world, random, tick)
  const { accepted } = await ingest(ctx, ids.get(scan.artifact)!, scan)
  const modelled = model.scan(scan)
  expect(accepted.filter((engine) => engine !== 'syft')).toEqual(modelled)
  return `scan ${scan.artifact}`
}

describe('findings under random histories', () => {
  it.each(SEEDS)(
    'are those of the naive model after every step (seed %i)',
    { timeout: 120_000 },
    async (seed) => {
      const ctx = aContext(organizations++)
      const world = aWorld(seed)
      const random = dice(seed)
      const model = new Model()
      const ids = await artifactsOf(ctx, world)
      for (let tick = 0; tick < STEPS; tick++) {
        const did = await step(ctx, world, random, ids, model, tick)
        expect(comparable(await observe(ctx)), `seed ${seed}, step ${tick}: ${did}`).toEqual(expected(model))
      }
    },
  )
})
