import type { Context } from '../../context.ts'
import { DuplicateKey, EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { sendPromised } from '../../db/outbox.ts'
import { countsDiffer } from './effects.ts'
import { leavingMatch, withdraw } from './leaving.ts'
import { lookAround } from './look-around.ts'
import { matchStatements } from './match-statements.ts'
import { matchDelta } from './match-totals.ts'
import { recountOthers } from './others.ts'
import type { PlannedMatch } from './plan.ts'
import { nextSerial } from './serial.ts'
import { MATCH, matchOf, type Row, STATE, serialOf, UNNAMED } from './state.ts'
import { begun, finished, retireWork } from './unfinished.ts'

const LINKS_A_SLICE = 500
const MAX_SLICES = 20 // of one call: about 60 round trips
const MAX_ATTEMPTS = 8

/** Its findings show no more from this moment: no engine counts as having run. Counters keep their last values. */
const RETIRE = `UPDATE artifacts SET live = 0, ran = 0, pinned_until = NULL, trivy_build = NULL, grype_build = NULL,
    osv_build = NULL, trivy_at = NULL, grype_at = NULL, osv_at = NULL
  WHERE org = ?1 AND id = ?2 AND live = 1 AND ${UNNAMED}`

const STANDING = `SELECT live, ${UNNAMED} AS unnamed FROM artifacts WHERE org = ?1 AND id = ?2`

const SLICE = `SELECT page.package, 0 AS silent, ${MATCH}
  FROM (SELECT org, artifact, package FROM artifact_packages WHERE org = ?1 AND artifact = ?2
    ORDER BY package LIMIT ?3) page
  LEFT JOIN matches m INDEXED BY matches_key ON m.org = page.org AND m.package = page.package`

/**
 * Retires an artifact that no tag names and no pin holds: its links, locations and exclusions go, and verdicts
 * that no live artifact shows any more are withdrawn. Up to 500 links go in one batch; with more its findings
 * disappear with the first, and the rest follows in bounded slices. Repeating it goes on where it stopped; an
 * ingest revives the artifact at any point. Returns whether links remain. Throws LostRace when ingests of the
 * organization were faster eight times.
 */
export async function retireArtifact(ctx: Context, artifact: number): Promise<{ more: boolean }> {
  for (let slice = 0, lost = 0; slice < MAX_SLICES; ) {
    try {
      if (!(await retireSlice(ctx, artifact))) return { more: false }
      slice++
    } catch (error) {
      if (!(error instanceof LostRace || error instanceof DuplicateKey) || ++lost === MAX_ATTEMPTS)
        throw error
    }
  }
  return { more: true }
}

/** Removes up to `LINKS_A_SLICE` links of an artifact that is to be retired; false when nothing is left to do. */
async function retireSlice(ctx: Context, artifact: number): Promise<boolean> {
  const org = ctx.organization.num
  const [state, standing, links] = await ctx.db.batch([
    statement(STATE, org),
    statement(STANDING, org, artifact, ctx.now),
    statement(SLICE, org, artifact, LINKS_A_SLICE + 1),
  ])
  const { live, unnamed } = (standing!.rows[0] ?? { live: 0, unnamed: 0 }) as {
    live: number
    unnamed: number
  }
  const found = links!.rows as Row[]
  if (live ? !unnamed : found.length === 0) return false
  const { seq, newest, unfinished } = serialOf(state!.rows[0] as Row | undefined)
  const held = [...new Set(found.map((row) => row.package as number))]
  const more = held.length > LINKS_A_SLICE
  const packages = held.slice(0, LINKS_A_SLICE)
  const rows = more ? found.filter((row) => row.package !== held[LINKS_A_SLICE]) : found
  const matches = rows.filter((row) => row.id !== null).map((row) => leavingMatch(matchOf(row, true)))
  const around = await lookAround(ctx.db, org, artifact, {
    leaving: matches,
    packages: [...new Set(matches.map((match) => match.package))],
    places: null,
  })
  withdraw(matches, around.shown)
  const touched = matches
    .filter((match) => match.engines !== 0 && countsDiffer(match))
    .map((match) => match.package)
  const others = recountOthers(org, seq + 1, [...new Set(touched)], around.others, ctx.now)
  await ctx.db.batch([
    ...nextSerial(org, seq, {
      newest,
      delta: matchDelta(matches),
      unfinished: (more ? begun : finished)(unfinished, retireWork(artifact)),
    }),
    ...(live ? [statement(RETIRE, org, artifact, ctx.now), EXPECT_ONE_CHANGE] : []),
    ...unlinkStatements(org, artifact, packages, matches),
    ...matchStatements(org, matches, ctx.now),
    ...others.statements,
  ])
  sendPromised(ctx, others.promised)
  return more
}

const EXCLUSIONS = `DELETE FROM overrides INDEXED BY overrides_artifact
  WHERE org = ?1 AND artifact = ?2 AND match IN (SELECT value FROM json_each(?3))`

const LINKS = `DELETE FROM artifact_packages
  WHERE org = ?1 AND artifact = ?2 AND package IN (SELECT value FROM json_each(?3))`

/** By primary key: `+org` keeps the planner from walking the organization's packages. */
const HOLDERS = `UPDATE packages SET holders = holders - 1
  WHERE +org = ?1 AND id IN (SELECT value FROM json_each(?2))`

function unlinkStatements(
  org: number,
  artifact: number,
  packages: number[],
  matches: PlannedMatch[],
): Statement[] {
  const ids = JSON.stringify(packages)
  return [
    ...jsonChunks(matches.map((match) => match.id)).map(({ json }) =>
      statement(EXCLUSIONS, org, artifact, json),
    ),
    statement(LINKS, org, artifact, ids),
    statement(HOLDERS, org, ids),
    statement('DELETE FROM artifact_locations WHERE org = ?1 AND artifact = ?2', org, artifact),
  ]
}

const RETIRABLE = `SELECT id FROM artifacts INDEXED BY artifacts_digest
  WHERE org = ?1 AND image_id = ?2 AND (
    (live = 1 AND ${UNNAMED})
    OR (live = 0 AND EXISTS (SELECT 1 FROM artifact_packages ap WHERE ap.org = ?1 AND ap.artifact = artifacts.id)))
  LIMIT ?4`

const ARTIFACTS_A_CALL = 10

/** Retires artifacts of an image that no tag names, ten a call. Returns whether there may be more. */
export async function retireArtifacts(ctx: Context, imageId: string): Promise<{ more: boolean }> {
  const found = await ctx.db.all<{ id: number }>(
    statement(RETIRABLE, ctx.organization.num, imageId, ctx.now, ARTIFACTS_A_CALL),
  )
  let more = found.length === ARTIFACTS_A_CALL
  for (const { id } of found) more = (await retireArtifact(ctx, id)).more || more
  return { more }
}
