import type { Context } from '../../context.ts'
import { sendPromised } from '../../db/outbox.ts'
import { heldByOthers, touchedPackages } from './effects.ts'
import { enginesOf } from './engines.ts'
import { birthStatements } from './exclusion-statements.ts'
import type { IngestInput } from './ingest.ts'
import type { BatchLimits } from './limits.ts'
import type { Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { mergeVerdicts } from './merge.ts'
import { recountOthers } from './others.ts'
import type { Plan, PlannedMatch } from './plan.ts'
import { nextSerial } from './serial.ts'
import type { StateHead, StoredMatch } from './state.ts'
import { begun, scanWork } from './unfinished.ts'

/** Verdicts that appear, as a batch has them: characters of rows, and pairs with another holder. */
export interface Births {
  characters: number
  pairs: number
}

interface Slice extends Births {
  matches: PlannedMatch[]
}

type Scan = Pick<IngestInput, 'artifact' | 'scanId' | 'scannedAt'>

/**
 * Writes ahead, in bounded batches, the verdicts that appear when they are too many for the last one, which has
 * those of `last` already: births alone, so that nothing is taken away before it. A verdict written ahead shows as
 * carried on every holder with an older output, as it will afterwards; this artifact's links and counters come with
 * the last batch. Each slice goes on from the serial number of the one before, in `head`; the plan then holds only
 * what is left. Throws LostRace; what was written stays and is found by the next attempt, which goes on from it, or
 * takes it back where a newer output of the artifact came between (`takeBack`).
 * What comes between finds some of the verdicts and not others: each match is as after one order of the results,
 * the one before or after the other, and not all of them as after the same.
 */
export async function writeAhead(
  ctx: Context,
  scan: Scan,
  head: StateHead,
  { plan, around }: { plan: Plan; around: Surroundings },
  limits: BatchLimits,
  last: Births,
): Promise<void> {
  const slices = matchSlices(plan, limits)
  const [only] = slices
  if (!only) return
  const characters = last.characters + only.characters
  const pairs = last.pairs + only.pairs
  if (slices.length === 1 && characters <= limits.characters && pairs <= limits.pairs) {
    Object.assign(last, { characters, pairs })
    return
  }
  for (const slice of slices) await writeSlice(ctx, scan, head, plan, around, slice.matches)
}

async function writeSlice(
  ctx: Context,
  scan: Scan,
  head: StateHead,
  plan: Plan,
  around: Surroundings,
  matches: PlannedMatch[],
): Promise<void> {
  const org = ctx.organization.num
  const { seq, newest } = head
  const unfinished = begun(head.unfinished, scanWork(scan.artifact, scan.scanId, Object.keys(plan.builds)))
  const ahead = matches.map(bornAlone)
  const touched = touchedPackages({ ...plan, matches: ahead })
  const held = ahead.filter((match) => heldByOthers(plan, match.package))
  const others = recountOthers(org, seq + 1, touched, around.others, ctx.now)
  await ctx.db.batch([
    ...nextSerial(org, seq, { newest, delta: matchDelta(ahead), unfinished }),
    ...matchStatements(org, ahead, scan.scannedAt),
    ...birthStatements(org, scan.artifact, held),
    ...others.statements,
  ])
  sendPromised(ctx, others.promised)
  head.seq = seq + 1
  head.unfinished = unfinished
  for (const [index, match] of matches.entries()) {
    match.before = storedNow(ahead[index]!)
    match.born = 0
  }
}

/** The match as it is stored, with the verdicts that appear; what else the result makes of it is for the last batch. */
function bornAlone(match: PlannedMatch): PlannedMatch {
  const { before, born } = match
  if (!before) return match
  const said = { ...before.said }
  const first = { ...before.first }
  for (const engine of enginesOf(born)) {
    said[engine] = match.said[engine]!
    first[engine] = match.first[engine]
  }
  return { ...match, said, first, engines: before.engines | born, merged: mergeVerdicts(said) }
}

const storedNow = ({ before, ...match }: PlannedMatch): StoredMatch => ({
  ...match.merged,
  id: match.id,
  package: match.package,
  vulnerability: match.vulnerability,
  said: { ...match.said },
  first: { ...match.first },
  engines: match.engines,
  silent: before?.silent ?? 0,
  linked: before?.linked ?? false,
})

/** Verdicts that appear, in groups that one batch each can hold. */
function matchSlices(plan: Plan, limits: BatchLimits): Slice[] {
  const slices: Slice[] = []
  for (const match of plan.matches) {
    if (match.born === 0) continue
    const characters = sizeOf(match)
    const pairs = plan.state.holders.get(match.package) ?? 1
    const last = slices.at(-1)
    if (last && last.characters + characters <= limits.characters && last.pairs + pairs <= limits.pairs) {
      last.matches.push(match)
      last.characters += characters
      last.pairs += pairs
    } else {
      slices.push({ matches: [match], characters, pairs })
    }
  }
  return slices
}

/** About how many characters its row has. */
function sizeOf({ said }: PlannedMatch): number {
  let size = 150
  for (const verdict of Object.values(said)) {
    size += 180 + (verdict.vector?.length ?? 0)
    for (const version of verdict.fixedVersions) size += version.length + 3
  }
  return size
}
