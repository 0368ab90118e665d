import type { Context } from '../../context.ts'
import { sendPromised } from '../../db/outbox.ts'
import { advisoryStatements } from './content-statements.ts'
import { heldByOthers, touchedPackages } from './effects.ts'
import { birthStatements } from './exclusion-statements.ts'
import type { IncomingVulnerability } from './incoming.ts'
import type { IngestInput } from './ingest.ts'
import type { Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { recountOthers } from './others.ts'
import type { Plan, PlannedMatch } from './plan.ts'
import { saidText } from './said.ts'
import { nextSerial, sameSerial } from './serial.ts'
import { begun, scanWork } from './unfinished.ts'

/** What one batch may hold: characters of new rows, and pairs of a new verdict and another holder. */
export interface BatchLimits {
  characters: number
  pairs: number
}

/** About a second of a single-threaded database. */
export const BATCH_LIMITS: BatchLimits = { characters: 8_000_000, pairs: 100_000 }

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
  scan: Pick<IngestInput, 'artifact' | 'scanId' | 'scannedAt'>,
  plan: Plan,
  around: Surroundings,
  digests: ReadonlyMap<string, string>,
  limits: BatchLimits,
): Promise<void> {
  const texts = textSlices(plan.vulnerabilities, limits)
  if (texts.length > 1) {
    for (const slice of texts) {
      const org = ctx.organization.num
      await ctx.db.batch([...sameSerial(org, plan.state.seq), ...advisoryStatements(org, slice, digests)])
    }
    plan.vulnerabilities = []
  }
  const slices = matchSlices(plan, limits)
  if (slices.length <= 1) return
  for (const slice of slices) await writeSlice(ctx, scan, plan, around, slice.matches)
}

async function writeSlice(
  ctx: Context,
  scan: Pick<IngestInput, 'artifact' | 'scanId' | 'scannedAt'>,
  plan: Plan,
  around: Surroundings,
  matches: PlannedMatch[],
): Promise<void> {
  const org = ctx.organization.num
  const { seq, newest } = plan.state
  const unfinished = begun(
    plan.state.unfinished,
    scanWork(scan.artifact, scan.scanId, Object.keys(plan.builds)),
  )
  const touched = touchedPackages({ ...plan, matches })
  const held = matches.filter((match) => heldByOthers(plan, match.package))
  const others = recountOthers(org, seq + 1, touched, around.others, ctx.now)
  await ctx.db.batch([
    ...nextSerial(org, seq, { newest, delta: matchDelta(matches), unfinished }),
    ...matchStatements(org, matches, scan.scannedAt),
    ...birthStatements(org, scan.artifact, held),
    ...others.statements,
  ])
  sendPromised(ctx, others.promised)
  plan.state.seq = seq + 1
  plan.state.unfinished = unfinished
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
function matchSlices(plan: Plan, limits: BatchLimits): Slice[] {
  const slices: Slice[] = []
  for (const match of plan.matches) {
    if (match.born === 0) continue
    const characters = 150 + saidText(match.said, match.merged.vector).length
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

function textSlices(texts: readonly IncomingVulnerability[], limits: BatchLimits): IncomingVulnerability[][] {
  const slices: { texts: IncomingVulnerability[]; characters: number }[] = []
  for (const advisory of texts) {
    const characters = JSON.stringify(advisory.text).length
    const last = slices.at(-1)
    if (last && last.characters + characters <= limits.characters) {
      last.texts.push(advisory)
      last.characters += characters
    } else {
      slices.push({ texts: [advisory], characters })
    }
  }
  return slices.map((slice) => slice.texts)
}
