import type { Context } from '../../context.ts'
import { DuplicateKey, LostRace, type Statement } from '../../db/database.ts'
import { sendPromised } from '../../db/outbox.ts'
import { type ResultSource, resultInMemory } from '../../scanning/results/index.ts'
import type { EngineName, Result } from '../../scanning/sensors/result.ts'
import { type Acceptance, acceptEngines, type Refusal } from './accept.ts'
import { Changes } from './changes.ts'
import { perEngine } from './engines.ts'
import { type Incoming, incomingOf } from './incoming.ts'
import { BATCH_LIMITS, type BatchLimits } from './limits.ts'
import { decide } from './part.ts'
import { type FindingsState, readHead, readState, type StateHead } from './state.ts'
import { takeBack } from './take-back.ts'
import { decideInWindows } from './windows.ts'

export interface IngestInput {
  /** An artifact of this organization. */
  artifact: number
  scanId: string
  /** When the scan ended, milliseconds: of equal database builds the later scan counts. */
  scannedAt: number
  /** In memory, or read in slices: a large one is never in memory as a whole. */
  result: Result | ResultSource
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
  limits: Partial<BatchLimits> = {},
): Promise<IngestOutcome> {
  const ingest = new Ingest(ctx, input, { ...BATCH_LIMITS, ...limits })
  let seen: string | null = null
  for (let attempts = 1; ; attempts++) {
    try {
      const { accepted, refused } = await ingest.attempt()
      return { accepted, refused, attempts }
    } catch (error) {
      if (!(error instanceof LostRace || error instanceof DuplicateKey)) throw error
      if (attempts === MAX_ATTEMPTS || ingest.fingerprint === seen) throw error
      seen = ingest.fingerprint
      if (attempts > 1) await pause(attempts)
    }
  }
}

/** Spreads out ingests of one organization that keep overtaking each other. */
const pause = (attempts: number) =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS * attempts))

/** One result on its way, over all attempts. */
class Ingest {
  /** Of what the last attempt rested on: the same twice is no race that could be won. */
  fingerprint = ''
  private readonly ctx: Context
  private readonly input: IngestInput
  private readonly limits: BatchLimits
  private readonly result: ResultSource
  private incoming: { accepted: string; words: Incoming } | null = null
  private isLarge: boolean

  constructor(ctx: Context, input: IngestInput, limits: BatchLimits) {
    this.ctx = ctx
    this.input = input
    this.limits = limits
    this.result = 'counts' in input.result ? input.result : resultInMemory(input.result, 0)
    const { packages, vulnerabilities, findings } = this.result.counts
    this.isLarge = packages + vulnerabilities + findings > limits.whole || this.result.bytes > limits.bytes
  }

  /** Throws LostRace or DuplicateKey when another writer was faster. */
  async attempt(): Promise<Acceptance> {
    const never = perEngine(() => ({ build: null, scannedAt: null }))
    const possible = this.accept(never)
    if (possible.accepted.length === 0) return this.finishOnly(possible)
    const found = await this.read(possible)
    const { head } = found
    this.fingerprint = JSON.stringify([head.seq, head.artifact])
    const acceptance = this.accept(head.artifact.last)
    const isOvertaken = await takeBack(this.ctx, this.input, head, this.result, acceptance)
    if (isOvertaken) throw new LostRace() // what was read is no longer what is stored
    if (acceptance.accepted.length === 0) return this.finishOnly(acceptance)
    const changes = new Changes(this.ctx, this.input, head, acceptance.builds, this.limitsFor(found.state))
    try {
      await this.decide(found, acceptance, changes)
      const work = await changes.last(this.result.head.image)
      await this.ctx.db.batch([...work.statements, ...this.finishOf(acceptance)])
      sendPromised(this.ctx, work.promised)
      return acceptance
    } catch (error) {
      if (error instanceof LostRace || error instanceof DuplicateKey) await changes.discard()
      throw error
    }
  }

  /** What is in memory as a whole goes into its last batch as a whole. */
  private limitsFor(state: FindingsState | null): BatchLimits {
    return state ? { ...this.limits, held: Number.POSITIVE_INFINITY } : this.limits
  }

  private accept(last: Parameters<typeof acceptEngines>[1]): Acceptance {
    return acceptEngines(this.result.head, last, this.input.scannedAt, this.ctx.now)
  }

  /** Everything at once where that fits into memory. */
  private async read(possible: Acceptance): Promise<{ head: StateHead; state: FindingsState | null }> {
    const { ctx, input } = this
    const org = ctx.organization.num
    if (!this.isLarge) {
      const words = await this.wordsOf(possible)
      const state = await readState(ctx.db, org, input.artifact, words, ctx.now)
      if (!state) throw new UnknownArtifact()
      if (state !== 'large') return { head: state, state }
      this.isLarge = true
    }
    const head = await readHead(ctx.db, org, input.artifact, ctx.now)
    if (!head) throw new UnknownArtifact()
    return { head, state: null }
  }

  private async decide(
    { head, state }: { head: StateHead; state: FindingsState | null },
    acceptance: Acceptance,
    changes: Changes,
  ): Promise<void> {
    const { ctx, result } = this
    if (!state) return decideInWindows(ctx, head, result, acceptance, changes, this.limits)
    const words = await this.wordsOf(acceptance)
    await changes.add(await decide(ctx, state, words, acceptance.builds, result.head.image, null))
  }

  /** What these engines say; kept, because most attempts ask for the same. */
  private async wordsOf(acceptance: Acceptance): Promise<Incoming> {
    const accepted = acceptance.accepted.join()
    if (this.incoming?.accepted !== accepted)
      this.incoming = { accepted, words: await incomingOf(this.result, acceptance) }
    return this.incoming.words
  }

  private async finishOnly(acceptance: Acceptance): Promise<Acceptance> {
    await this.ctx.db.batch(this.finishOf(acceptance))
    return acceptance
  }

  private finishOf({ accepted, refused }: Outcome): readonly Statement[] {
    const { finish } = this.input
    return typeof finish === 'function' ? finish({ accepted, refused }) : finish
  }
}
