import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { newId } from '../../ids.ts'
import type { LocationChunk } from '../../inventory/artifacts/locations.ts'
import type { WorkMessage } from '../../queue.ts'
import { artifactStatements } from './artifact-statements.ts'
import { advisoryStatements, linkStatements, locationStatements } from './content-statements.ts'
import { birthStatements, ownExclusionStatements } from './exclusion-statements.ts'
import type { IngestInput } from './ingest.ts'
import type { Surroundings } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { changesWhatOthersRead, heldByOthers, type Plan, touchedPackages } from './plan.ts'
import { recountStatement, rollUpStatement } from './recount-statements.ts'
import { nextSerial, sameSerial } from './serial.ts'

export const RECOUNT_AT_ONCE = 50 // other artifacts whose counters the batch itself computes; more go through the queue

/** The batch of one ingest: first its guards, then what changed, then the counters that follow from it. */
export async function ingestStatements(
  ctx: Context,
  input: Pick<IngestInput, 'artifact' | 'scanId' | 'scannedAt' | 'result'>,
  plan: Plan,
  around: Surroundings,
  chunks: readonly LocationChunk[],
  digests: ReadonlyMap<string, string>,
): Promise<Statement[]> {
  const org = ctx.organization.num
  const { artifact, scannedAt } = input
  const { seq, locations } = plan.state
  const born = plan.matches.filter((match) => match.born !== 0 && heldByOthers(plan, match.package))
  const touched = touchedPackages(plan)
  const atOnce = around.others.length <= RECOUNT_AT_ONCE
  const recounted = touched.length > 0 && atOnce ? around.others : []
  return [
    ...(changesWhatOthersRead(plan) ? nextSerial(org, seq, plan.newest) : sameSerial(org, seq)),
    ...artifactStatements(org, plan, { ...input, image: input.result.image }),
    ...linkStatements(org, plan, scannedAt),
    ...advisoryStatements(org, plan.vulnerabilities, digests),
    ...matchStatements(org, plan.matches, scannedAt),
    ...ownExclusionStatements(org, artifact, plan.matches),
    ...birthStatements(org, artifact, born),
    ...(await locationStatements(org, artifact, chunks, locations)),
    ...(recounted.length > 0 ? [recountStatement(org, recounted)] : []),
    ...(atOnce || touched.length === 0 ? [] : recountLater(org, seq + 1, touched, ctx.now)),
    rollUpStatement(org, [artifact, ...recounted]),
  ]
}

/** Work for the queue: the other holders of these packages are counted again. */
export function recountLater(
  org: number,
  seq: number,
  packages: readonly number[],
  now: number,
): Statement[] {
  const message: WorkMessage = { kind: 'artifacts.recount', org, seq, after: 0 }
  return [
    statement(
      'INSERT INTO recounts (org, seq, packages) VALUES (?, ?, ?)',
      org,
      seq,
      JSON.stringify(packages),
    ),
    statement(
      'INSERT INTO outbox (id, org, message, created_at, next_attempt_at) VALUES (?, ?, ?, ?, ?)',
      newId('outbox'),
      org,
      JSON.stringify(message),
      now,
      now,
    ),
  ]
}
