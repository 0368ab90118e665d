import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { sendPromised } from '../../db/outbox.ts'
import type { ResultSource } from '../../scanning/results/index.ts'
import { FINDING_ENGINES, type FindingEngine } from '../../scanning/sensors/result.ts'
import type { Acceptance } from './accept.ts'
import { countsDiffer } from './effects.ts'
import { ENGINE_BIT } from './engines.ts'
import type { IngestInput } from './ingest.ts'
import { leavingMatch, withdraw } from './leaving.ts'
import { lookAround } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { recountOthers } from './others.ts'
import { readPackages } from './package-table.ts'
import type { PlannedMatch } from './plan.ts'
import { nextSerial } from './serial.ts'
import { batched, MATCH, matchOf, type StateHead } from './state.ts'
import { surveyFindings } from './survey.ts'
import { begun, enginesOfWork, finished, scanWork, worksOfScan } from './unfinished.ts'

const AT_ONCE = 1000 // findings of one round trip

const NAMED = `SELECT m.package, ${MATCH} FROM json_each(?2) j
  CROSS JOIN matches m INDEXED BY matches_key
    ON m.org = ?1 AND m.package = j.value ->> 0 AND m.vulnerability = j.value ->> 1`

/** "[package, vulnerability]" to the engines (bits) that named it. */
type Named = Map<string, number>

/**
 * Ends what earlier attempts at a scan wrote ahead for engines whose words count no more, since a newer output of
 * the artifact was ingested meanwhile: of the verdicts that the result names, those that no live artifact shows are
 * withdrawn, in bounded batches from the serial number of `head` on. Returns false where there is nothing of that
 * kind; otherwise `head` is no longer what is stored. Ended anywhere, it goes on with the next attempt. Throws LostRace.
 */
export async function takeBack(
  ctx: Context,
  { artifact, scanId }: Pick<IngestInput, 'artifact' | 'scanId'>,
  head: StateHead,
  result: ResultSource,
  { builds }: Pick<Acceptance, 'builds'>,
): Promise<boolean> {
  const works = worksOfScan(head.unfinished, artifact, scanId)
  const named = new Set(works.flatMap(enginesOfWork))
  const engines = FINDING_ENGINES.filter((engine) => named.has(engine) && builds[engine] === undefined)
  if (engines.length === 0) return false
  let { seq } = head
  for await (const group of namedBy(ctx, artifact, result, engines)) {
    const matches = await unshown(ctx, group)
    if (matches.length > 0) await write(ctx, seq++, head, matches, head.unfinished)
  }
  const left = finished(head.unfinished, ...works)
  const rest = FINDING_ENGINES.filter((engine) => named.has(engine) && !engines.includes(engine))
  await write(ctx, seq, head, [], rest.length > 0 ? begun(left, scanWork(artifact, scanId, rest)) : left)
  return true
}

/** Packages and advisories of these engines' findings, up to `AT_ONCE` together. */
async function* namedBy(
  { db, organization: { num: org } }: Context,
  artifact: number,
  result: ResultSource,
  engines: readonly FindingEngine[],
): AsyncGenerator<Named> {
  const builds = Object.fromEntries(engines.map((engine) => [engine, 0]))
  const survey = await surveyFindings(result, { builds })
  const { listed } = await readPackages(db, org, artifact, result, survey, {
    accepted: [],
    refused: [],
    builds,
  })
  const ids: string[] = []
  for await (const slice of result.vulnerabilities()) for (const { id } of slice) ids.push(id)
  let named: Named = new Map()
  for await (const slice of result.findings()) {
    for (const { engine, package: index, vulnerability } of slice) {
      if (!engines.includes(engine)) continue
      const key = JSON.stringify([listed[index], ids[vulnerability]])
      named.set(key, (named.get(key) ?? 0) | ENGINE_BIT[engine])
      if (named.size < AT_ONCE) continue
      yield named
      named = new Map()
    }
  }
  yield named
}

/** Matches with these verdicts, less those that no live artifact shows. */
async function unshown({ db, organization: { num: org } }: Context, named: Named): Promise<PlannedMatch[]> {
  if (named.size === 0) return []
  const chunks = jsonChunks([...named.keys()].map((key) => JSON.parse(key) as [number, string]))
  const [pages] = await batched(db, [chunks.map(({ json }) => statement(NAMED, org, json))])
  const leaving = pages!.flat().map((row) => {
    const match = matchOf(row, false)
    return leavingMatch(
      match,
      match.engines & named.get(JSON.stringify([match.package, match.vulnerability]))!,
    )
  })
  const { shown } = await lookAround(db, org, NO_ARTIFACT, { leaving, packages: [], places: null })
  withdraw(leaving, shown)
  return leaving.filter((match) => match.engines !== match.before!.engines)
}

const NO_ARTIFACT = 0 // all of them are others

async function write(
  ctx: Context,
  seq: number,
  { newest }: StateHead,
  matches: PlannedMatch[],
  unfinished: readonly string[],
): Promise<void> {
  const org = ctx.organization.num
  const touched = [
    ...new Set(
      matches.filter((each) => each.engines !== 0 && countsDiffer(each)).map((each) => each.package),
    ),
  ]
  const { others } = await lookAround(ctx.db, org, NO_ARTIFACT, {
    leaving: [],
    packages: touched,
    places: null,
  })
  const recounted = recountOthers(org, seq + 1, touched, others, ctx.now)
  await ctx.db.batch([
    ...nextSerial(org, seq, { newest, delta: matchDelta(matches), unfinished }),
    ...matchStatements(org, matches, ctx.now),
    ...recounted.statements,
  ])
  sendPromised(ctx, recounted.promised)
}
