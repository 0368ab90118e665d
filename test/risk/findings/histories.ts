import type { Context } from '../../../src/context.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import type { BatchLimits } from '../../../src/risk/findings/limits.ts'
import { retireArtifact } from '../../../src/risk/findings/retire.ts'
import type { FindingEngine } from '../../../src/scanning/sensors/result.ts'
import { aContext, anArtifact, untag } from '../context.ts'
import { interleave } from './interleave.ts'
import { Model, type WorldScan } from './model.ts'
import { expected, type Observed, observe } from './observed.ts'
import { type Dice, randomScan, resultOf, type World } from './world.ts'

/** One thing that happens in the small world. */
export type Step = { kind: 'scan'; scan: WorldScan } | { kind: 'retire'; artifact: string }

export const aWorld = (seed: number): World => ({
  seed,
  artifacts: ['a', 'b', 'c', 'd', 'e'],
  packages: 6,
  vulnerabilities: 3,
  day: 3,
  noise: 1,
})

export function randomStep(world: World, random: Dice, tick: number): Step {
  if (random.chance(8)) world.day++
  if (random.chance(6)) return { kind: 'retire', artifact: random.pick(world.artifacts) }
  return { kind: 'scan', scan: randomScan(world, random, tick) }
}

export async function artifactsOf(ctx: Context, world: World): Promise<Map<string, number>> {
  const ids = new Map<string, number>()
  for (const name of world.artifacts) ids.set(name, await anArtifact(ctx, name))
  return ids
}

let scans = 0

/** Lets it happen in storage, in batches of at most `limits`; returns the finding engines that were accepted. */
export async function happen(
  ctx: Context,
  ids: Map<string, number>,
  step: Step,
  limits?: Partial<BatchLimits>,
  scanId = `scn_${++scans}`,
): Promise<FindingEngine[]> {
  if (step.kind === 'retire') {
    await untag(ctx, ids.get(step.artifact)!)
    await retireArtifact(ctx, ids.get(step.artifact)!)
    return []
  }
  const { scan } = step
  const artifact = ids.get(scan.artifact)!
  const input = { artifact, scanId, scannedAt: scan.at, result: resultOf(scan), finish: [] }
  const { accepted } = await ingestResult({ ...ctx, now: scan.now }, input, limits)
  return accepted.filter((engine): engine is FindingEngine => engine !== 'syft')
}

/** Lets it happen in the model. */
export function imagine(model: Model, step: Step): FindingEngine[] {
  if (step.kind === 'scan') return model.scan(step.scan)
  model.retire(step.artifact)
  return []
}

/** What the model shows after these steps, one after the other. */
export function imagined(steps: readonly Step[]): Observed {
  const model = new Model()
  for (const step of steps) imagine(model, step)
  return expected(model)
}

/**
 * Lets two steps happen after a history, their round trips interleaved as `schedule` says. Returns what is
 * seen then.
 */
export async function happenAtOnce(
  org: number,
  history: readonly Step[],
  pair: readonly [Step, Step],
  schedule: string,
  limits?: Partial<BatchLimits>,
): Promise<Observed> {
  const [ctx, other] = [aContext(org), aContext(org)]
  const ids = await artifactsOf(ctx, aWorld(0))
  for (const step of history) await happen(ctx, ids, step)
  await interleave(
    [ctx.db, other.db],
    [
      (db) => happen({ ...ctx, db }, ids, pair[0], limits),
      (db) => happen({ ...other, db }, ids, pair[1], limits),
    ],
    schedule,
  )
  return observe(ctx)
}
