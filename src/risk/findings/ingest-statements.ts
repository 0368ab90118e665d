import type { Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { promise } from '../../db/outbox.ts'
import { artifactStatements } from './artifact-statements.ts'
import {
  advisoryStatements,
  linkStatements,
  locationStatements,
  resolutionStatements,
} from './content-statements.ts'
import { changesWhatOthersRead, heldByOthers, touchedPackages } from './effects.ts'
import { birthStatements, ownExclusionStatements } from './exclusion-statements.ts'
import type { IngestInput } from './ingest.ts'
import type { LocationChunk } from './locations.ts'
import type { Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { recountOthers, type Work } from './others.ts'
import type { Plan } from './plan.ts'
import { rollUpStatement } from './recount-statements.ts'
import { nextSerial, sameSerial } from './serial.ts'
import { finished, retireWork, scanWork } from './unfinished.ts'

/**
 * The batch of one ingest: first its guards, then what changed, then the counters that follow from it. An
 * artifact whose last tag moved away while it was scanned is to be retired again.
 */
export async function ingestStatements(
  ctx: Context,
  input: Pick<IngestInput, 'artifact' | 'scanId' | 'scannedAt' | 'result'>,
  plan: Plan,
  around: Surroundings,
  chunks: readonly LocationChunk[],
  digests: ReadonlyMap<string, string>,
): Promise<Work> {
  const org = ctx.organization.num
  const { artifact, scannedAt } = input
  const { seq, locations } = plan.state
  const { unnamed, imageId } = plan.state.artifact
  const born = plan.matches.filter((match) => match.born !== 0 && heldByOthers(plan, match.package))
  const others = recountOthers(org, seq + 1, touchedPackages(plan), around.others, ctx.now)
  const statements = [
    ...serialStatements(org, input, plan),
    ...artifactStatements(org, plan, { ...input, image: input.result.image }),
    ...linkStatements(org, plan, scannedAt),
    ...advisoryStatements(org, plan.vulnerabilities, digests),
    ...resolutionStatements(org, plan, scannedAt),
    ...matchStatements(org, plan.matches, scannedAt),
    ...ownExclusionStatements(org, artifact, plan.matches),
    ...birthStatements(org, artifact, born),
    ...(await locationStatements(org, artifact, chunks, locations)),
    ...others.statements,
    rollUpStatement(org, [artifact]),
  ]
  const retire = unnamed ? [promise({ kind: 'artifacts.retire', org, imageId }, ctx.now)] : []
  return {
    statements: [...statements, ...retire.map((message) => message.statement)],
    promised: [...others.promised, ...retire],
  }
}

/** The guard of the batch. It ends what was written ahead of it, and the artifact's retirement. */
function serialStatements(
  org: number,
  { artifact, scanId }: Pick<IngestInput, 'artifact' | 'scanId'>,
  plan: Plan,
): Statement[] {
  const { seq, unfinished: before } = plan.state
  const unfinished = finished(
    before,
    scanWork(artifact, scanId, Object.keys(plan.builds)),
    retireWork(artifact),
  )
  if (!changesWhatOthersRead(plan) && unfinished === before) return sameSerial(org, seq)
  return nextSerial(org, seq, { newest: plan.newest, delta: matchDelta(plan.matches), unfinished })
}
