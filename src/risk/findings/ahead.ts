import type { Context } from '../../context.ts'
import { advisoryStatements } from './content-statements.ts'
import { birthStatements } from './exclusion-statements.ts'
import type { Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { saidJson } from './merge.ts'
import { recountOthers } from './others.ts'
import { heldByOthers, type Plan, type PlannedMatch, touchedPackages } from './plan.ts'
import { nextSerial, sameSerial } from './serial.ts'

const MAX_CHARACTERS = 8_000_000 // of new rows in one batch; more are written ahead
const MAX_PAIRS = 100_000 // of new verdicts and other holders in one batch
const SLICE_CHARACTERS = 4_000_000
const SLICE_PAIRS = 50_000

interface Slice {
  matches: PlannedMatch[]
  characters: number
  pairs: number
}

/**
 * Writes ahead, in bounded batches, what is too much for one: advisory texts, and verdicts that appear. A
 * verdict written ahead shows on other holders as carried, as it will afterwards, and on this artifact with
 * the last batch, which links and counts. Each slice goes on from the serial number of the one before; the plan
 * then holds only what is left. Throws LostRace; what was written stays true and is found by the next attempt.
 */
export async function writeAhead(
  ctx: Context,
  scan: { artifact: number; scannedAt: number },
  plan: Plan,
  around: Surroundings,
  digests: ReadonlyMap<string, string>,
): Promise<void> {
  const texts = slicesOf(plan.vulnerabilities, ({ text }) => JSON.stringify(text).length)
  if (texts.length > 1) {
    for (const slice of texts) {
      const org = ctx.organization.num
      await ctx.db.batch([...sameSerial(org, plan.state.seq), ...advisoryStatements(org, slice, digests)])
    }
    plan.vulnerabilities = []
  }
  const slices = matchSlices(plan)
  const [characters, pairs] = [sum(slices, 'characters'), sum(slices, 'pairs')]
  if (characters <= MAX_CHARACTERS && pairs <= MAX_PAIRS) return
  for (const slice of slices) await writeSlice(ctx, scan, plan, around, slice.matches)
}

async function writeSlice(
  ctx: Context,
  scan: { artifact: number; scannedAt: number },
  plan: Plan,
  around: Surroundings,
  matches: PlannedMatch[],
): Promise<void> {
  const org = ctx.organization.num
  const { seq, newest } = plan.state
  const touched = touchedPackages({ ...plan, matches })
  const held = matches.filter((match) => heldByOthers(plan, match.package))
  await ctx.db.batch([
    ...nextSerial(org, seq, newest),
    ...matchStatements(org, matches, scan.scannedAt),
    ...birthStatements(org, scan.artifact, held),
    ...recountOthers(org, seq + 1, touched, around.others, ctx.now),
  ])
  plan.state.seq = seq + 1
  for (const match of matches) {
    match.before = {
      ...match.merged,
      id: match.id,
      package: match.package,
      vulnerability: match.vulnerability,
      said: { ...match.said },
      first: { ...match.first },
      engines: match.engines,
      silent: match.before?.silent ?? 0,
      linked: match.before?.linked ?? false,
    }
    match.born = 0
  }
}

/** Verdicts that appear, in groups that one batch each can hold. */
function matchSlices(plan: Plan): Slice[] {
  const slices: Slice[] = []
  for (const match of plan.matches) {
    if (match.born === 0) continue
    const characters = 150 + saidJson(match.said).length
    const pairs = plan.state.holders.get(match.package) ?? 1
    const last = slices.at(-1)
    if (last && last.characters + characters <= SLICE_CHARACTERS && last.pairs + pairs <= SLICE_PAIRS) {
      last.matches.push(match)
      last.characters += characters
      last.pairs += pairs
    } else {
      slices.push({ matches: [match], characters, pairs })
    }
  }
  return slices
}

const sum = (slices: Slice[], member: 'characters' | 'pairs') =>
  slices.reduce((total, slice) => total + slice[member], 0)

function slicesOf<T>(list: readonly T[], sizeOf: (element: T) => number): T[][] {
  const slices: T[][] = []
  let size = 0
  for (const element of list) {
    size += sizeOf(element)
    if (slices.length === 0 || size > SLICE_CHARACTERS) {
      slices.push([])
      size = sizeOf(element)
    }
    slices.at(-1)!.push(element)
  }
  return slices
}
