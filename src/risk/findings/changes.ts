import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { promise } from '../../db/outbox.ts'
import type { Result } from '../../scanning/sensors/result.ts'
import { advisoryStatements } from './advisory-texts.ts'
import { type Births, writeAhead } from './ahead.ts'
import { artifactStatements } from './artifact-statements.ts'
import {
  linkStatements,
  locationStatements,
  resolutionStatements,
  unplaceStatements,
} from './content-statements.ts'
import { changesWhatOthersRead, countPlan, heldByOthers, touchedPackages } from './effects.ts'
import type { PerEngine } from './engines.ts'
import { birthStatements, ownExclusionStatements } from './exclusion-statements.ts'
import { addCounts, noCounts } from './grade.ts'
import type { IncomingVulnerability } from './incoming.ts'
import type { IngestInput } from './ingest.ts'
import type { BatchLimits } from './limits.ts'
import { type LocationChunk, LocationChunker, type Locations } from './locations.ts'
import type { Other, Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { MAX_NAMED_PACKAGES, recountOthers, type Work } from './others.ts'
import { PagedStatements } from './pages.ts'
import { afterwards, type Plan } from './plan.ts'
import { rollUpStatement } from './recount-statements.ts'
import { nextSerial, sameSerial } from './serial.ts'
import type { StateHead } from './state.ts'
import { finished, retireWork, worksOfScan } from './unfinished.ts'

/** What is decided about some packages of an artifact, those above all parts before. */
export interface Part {
  plan: Plan
  around: Surroundings
  /** Locations of the packages as they are to be. */
  places: Locations
}

/**
 * What one attempt at an ingest writes, gathered part by part: the statements of its last batch, and what their
 * counters come to. What is too much for one batch leaves it meanwhile, invisibly.
 */
export class Changes {
  private readonly ctx: Context
  private readonly input: IngestInput
  private readonly head: StateHead
  private readonly builds: Partial<PerEngine<number>>
  private readonly limits: BatchLimits
  private readonly statements: PagedStatements
  private readonly chunker = new LocationChunker()
  private readonly chunksLeft: Set<number>
  private readonly counts = noCounts()
  private readonly delta = [0, 0, 0, 0, 0]
  private readonly touched = new Set<number>()
  private readonly others = new Map<number, Other>()
  private readonly born: Births = { characters: 0, pairs: 0 }
  private packages = 0
  private moves = false

  constructor(
    ctx: Context,
    input: IngestInput,
    head: StateHead,
    builds: Partial<PerEngine<number>>,
    limits: BatchLimits,
  ) {
    this.ctx = ctx
    this.input = input
    this.head = head
    this.builds = builds
    this.limits = limits
    this.statements = new PagedStatements(ctx, input.scanId, limits)
    this.chunksLeft = new Set(head.locations.keys())
  }

  /** Throws LostRace where something has to be written ahead and others were faster. */
  async add({ plan, around, places }: Part): Promise<void> {
    const org = this.ctx.organization.num
    const { artifact, scannedAt } = this.input
    await writeAhead(this.ctx, this.input, this.head, { plan, around }, this.limits, this.born)
    const born = plan.matches.filter((match) => match.born !== 0 && heldByOthers(plan, match.package))
    this.moves ||= changesWhatOthersRead(plan)
    this.packages += plan.state.linked.size + plan.newLinks.length
    addCounts(this.counts, countPlan(plan))
    for (const [severity, number] of matchDelta(plan.matches).entries()) this.delta[severity]! += number
    this.touch(touchedPackages(plan), around.others)
    await this.addTexts(plan.vulnerabilities)
    await this.statements.add([
      ...linkStatements(org, plan, scannedAt),
      ...resolutionStatements(org, plan, scannedAt),
      ...matchStatements(org, plan.matches, scannedAt),
      ...ownExclusionStatements(org, artifact, plan.matches),
      ...birthStatements(org, artifact, born),
    ])
    await this.addChunks(this.chunker.add(places))
  }

  private touch(packages: readonly number[], others: readonly Other[]): void {
    if (packages.length === 0) return
    for (const id of packages) if (this.touched.size <= MAX_NAMED_PACKAGES) this.touched.add(id)
    for (const other of others) this.others.set(other.id, other)
  }

  /** Advisory texts that are new or changed. */
  async addTexts(texts: readonly IncomingVulnerability[]): Promise<void> {
    if (texts.length === 0) return
    this.moves = true
    await this.statements.add(await advisoryStatements(this.ctx.organization.num, texts))
  }

  /** Takes back what was written to pages: another attempt begins anew. */
  discard(): Promise<void> {
    return this.statements.discard()
  }

  private async addChunks(chunks: readonly LocationChunk[]): Promise<void> {
    const org = this.ctx.organization.num
    for (const { chunk } of chunks) this.chunksLeft.delete(chunk)
    const changed = chunks.filter(({ chunk, digest }) => this.head.locations.get(chunk) !== digest)
    await this.statements.add(await locationStatements(org, this.input.artifact, changed))
  }

  /**
   * The last batch: first its guards, then what changed, then the counters that follow from it. An artifact whose
   * last tag moved away while it was scanned is to be retired again.
   */
  async last(image: Result['image']): Promise<Work> {
    await this.addChunks(this.chunker.end())
    const { ctx, head, input } = this
    const org = ctx.organization.num
    const others = recountOthers(org, head.seq + 1, [...this.touched], [...this.others.values()], ctx.now)
    const { unnamed, imageId } = head.artifact
    const retire = unnamed ? [promise({ kind: 'artifacts.retire', org, imageId }, ctx.now)] : []
    return {
      statements: [
        ...this.serialStatements(),
        ...artifactStatements(
          org,
          head,
          { builds: this.builds, counts: this.counts, packages: this.packages },
          { ...input, image },
        ),
        ...this.statements.all(),
        ...unplaceStatements(org, input.artifact, [...this.chunksLeft]),
        ...others.statements,
        rollUpStatement(org, [input.artifact]),
        ...retire.map((message) => message.statement),
      ],
      promised: [...others.promised, ...retire],
    }
  }

  /** The guard of the batch. It ends what was written ahead of it, and the artifact's retirement. */
  private serialStatements(): Statement[] {
    const { head, input } = this
    const org = this.ctx.organization.num
    const unfinished = finished(
      head.unfinished,
      ...worksOfScan(head.unfinished, input.artifact, input.scanId),
      retireWork(input.artifact),
    )
    if (!this.moves && unfinished === head.unfinished) return sameSerial(org, head.seq)
    const { newest } = afterwards(head, this.builds)
    return nextSerial(org, head.seq, { newest, delta: this.delta, unfinished })
  }
}
