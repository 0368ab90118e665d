import type { Context } from '../../context.ts'
import { DuplicateKey, LostRace, type Statement } from '../../db/database.ts'
import { sendPromised } from '../../db/outbox.ts'
import type { EngineName, Result } from '../../scanning/sensors/result.ts'
import { type Acceptance, acceptEngines, type Refusal } from './accept.ts'
import { BATCH_LIMITS, type BatchLimits, writeAhead } from './ahead.ts'
import { heldByOthers, touchedPackages } from './effects.ts'
import { perEngine } from './engines.ts'
import { advisoryDigests, incomingOf } from './incoming.ts'
import { ingestStatements } from './ingest-statements.ts'
import { chunkLocations, type Location, type LocationChunk } from './locations.ts'
import { lookAround, type Surroundings } from './look-around.ts'
import { newMatchId } from './match-id.ts'
import { placesOf } from './places.ts'
import { type Plan, planIngest, withdraw } from './plan.ts'
import { type FindingsState, readState } from './state.ts'

export interface IngestInput {
  /** An artifact of this organization. */
  artifact: number
  scanId: string
  /** When the scan ended, milliseconds: of equal database builds the later scan counts. */
  scannedAt: number
  result: Result
  /** Runs at the end of the same batch, after the artifact's counters; made from what was accepted. */
  finish: readonly Statement[] | ((outcome: Outcome) => readonly Statement[])
}

export interface Outcome {
  /** Engines whose words count. */
  accepted: EngineName[]
  /** Engines that succeeded but whose database, or scan, is not the newest: their words change nothing. */
  refused: Refusal[]
}

export interface IngestOutcome extends Outcome {
  /** 1 when no other ingest of the organization interfered. */
  attempts: number
}

const MAX_ATTEMPTS = 8
const PAUSE_MS = 40 // about one attempt's round trips

/** Thrown when the organization has no such artifact. */
export class UnknownArtifact extends Error {
  constructor() {
    super('unknown artifact')
    this.name = 'UnknownArtifact'
  }
}

/**
 * Applies one scan's result to an artifact's findings: only what changed is written, in one batch with
 * `finish`. Two or three round trips when undisturbed and not huge. A result without an accepted engine changes no finding
 * and runs `finish`. Throws LostRace when other ingests were faster eight times or `finish` refuses,
 * DanglingFinding and UnknownArtifact for input that cannot be used.
 */
export async function ingestResult(
  ctx: Context,
  input: IngestInput,
  limits: BatchLimits = BATCH_LIMITS,
): Promise<IngestOutcome> {
  const never = perEngine(() => ({ build: null, scannedAt: null }))
  const possible = acceptEngines(input.result, never, input.scannedAt, ctx.now)
  if (possible.accepted.length === 0) return finishOnly(ctx, input, possible, 1)
  const digests = await advisoryDigests(input.result)
  let seen: string | null = null
  for (let attempts = 1; ; attempts++) {
    const state = await readState(
      ctx.db,
      ctx.organization.num,
      input.artifact,
      incomingOf(input.result, possible),
      ctx.now,
    )
    if (!state) throw new UnknownArtifact()
    const fingerprint = JSON.stringify([state.seq, state.artifact])
    const acceptance = acceptEngines(input.result, state.artifact.last, input.scannedAt, ctx.now)
    if (acceptance.accepted.length === 0) return finishOnly(ctx, input, acceptance, attempts)
    try {
      const { plan, around, chunks } = await prepare(ctx, input, state, acceptance, digests)
      await writeAhead(ctx, input, plan, around, digests, limits)
      const work = await ingestStatements(ctx, input, plan, around, chunks, digests)
      await ctx.db.batch([...work.statements, ...finishOf(input, acceptance)])
      sendPromised(ctx, work.promised)
      return { accepted: acceptance.accepted, refused: acceptance.refused, attempts }
    } catch (error) {
      if (!(error instanceof LostRace || error instanceof DuplicateKey)) throw error
      if (attempts === MAX_ATTEMPTS || fingerprint === seen) throw error
      seen = fingerprint
      if (attempts > 1) await pause(attempts)
    }
  }
}

/** Spreads out ingests of one organization that keep overtaking each other. */
const pause = (attempts: number) =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS * attempts))

async function finishOnly(
  ctx: Context,
  input: IngestInput,
  { accepted, refused }: Acceptance,
  attempts: number,
): Promise<IngestOutcome> {
  await ctx.db.batch(finishOf(input, { accepted, refused }))
  return { accepted, refused, attempts }
}

const finishOf = ({ finish }: IngestInput, { accepted, refused }: Outcome) =>
  typeof finish === 'function' ? finish({ accepted, refused }) : finish

interface Prepared {
  plan: Plan
  around: Surroundings
  /** The artifact's locations as they are to be. */
  chunks: LocationChunk[]
}

/** Decides everything that the batch writes; asks about other artifacts only where the result makes that necessary. */
async function prepare(
  ctx: Context,
  input: IngestInput,
  state: FindingsState,
  acceptance: Acceptance,
  digests: ReadonlyMap<string, string>,
): Promise<Prepared> {
  const incoming = incomingOf(input.result, acceptance)
  const plan = planIngest(state, incoming, acceptance, digests, newMatchId)
  const listed = placesOf(incoming, state.packageIds, input.result.image)
  const chunks = await chunkLocations(listed)
  const same =
    chunks.length === state.locations.size && chunks.every((c) => state.locations.get(c.chunk) === c.digest)
  const unlisted = [...state.linked].some((id) => !listed.has(id))
  const leaving = plan.matches.filter((match) => match.leaving !== 0)
  const perhaps = leaving.map((match) => match.package).filter((id) => heldByOthers(plan, id))
  const around = await lookAround(ctx.db, ctx.organization.num, input.artifact, {
    leaving,
    packages: [...new Set([...touchedPackages(plan), ...perhaps])],
    places: !same && unlisted && state.locations.size > 0,
  })
  withdraw(plan.matches, around.shown)
  const kept = [...around.places].filter(([id]) => state.linked.has(id))
  const all = new Map<number, readonly Location[]>([...kept, ...listed])
  return { plan, around, chunks: kept.length === 0 ? chunks : await chunkLocations(all) }
}
