import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { recountStatement, rollUpStatement } from './recount-statements.ts'

const MAX_LOOKED_AT = 2000 // artifacts asked whether they hold a touched package, in one slice
const MAX_RECOUNTED = 500 // about 0.2 s of a single-threaded database
const MAX_SLICES = 10 // of one message: another one may wait a second to be delivered

const SLICE = `WITH work AS MATERIALIZED (SELECT packages FROM recounts WHERE org = ?1 AND seq = ?2),
  touched AS MATERIALIZED (SELECT value AS package FROM work CROSS JOIN json_each(work.packages)),
  looked AS MATERIALIZED (SELECT id FROM artifacts INDEXED BY artifacts_live
    WHERE org = ?1 AND live = 1 AND id > ?3 AND EXISTS (SELECT 1 FROM work) ORDER BY id LIMIT ?4)
  SELECT l.id, (SELECT packages IS NULL FROM work) OR EXISTS (SELECT 1 FROM touched
    CROSS JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = l.id AND ap.package = touched.package) AS holds
  FROM looked l ORDER BY l.id`

/**
 * Some slices of the recount that a change of findings asked for: recomputes counters of live artifacts above the
 * cursor that hold a touched package. Doing it twice changes nothing. Returns the next cursor, or null when all
 * are done.
 */
export async function recountArtifacts(
  ctx: Context,
  work: { seq: number; after: number },
  slices = MAX_SLICES,
): Promise<number | null> {
  let after: number | null = work.after
  for (let slice = 0; slice < slices && after !== null; slice++)
    after = await recountSlice(ctx, { seq: work.seq, after })
  return after
}

/** One slice, a batch of its own: what else the database has to do comes between two. Two round trips. */
async function recountSlice(ctx: Context, work: { seq: number; after: number }): Promise<number | null> {
  const org = ctx.organization.num
  const looked = await ctx.db.all<{ id: number; holds: number }>(
    statement(SLICE, org, work.seq, work.after, MAX_LOOKED_AT),
  )
  const ids = looked.filter(({ holds }) => holds === 1).map(({ id }) => id)
  const slice = ids.slice(0, MAX_RECOUNTED)
  const more = ids.length > slice.length || looked.length === MAX_LOOKED_AT
  await ctx.db.batch([
    ...(slice.length > 0 ? [recountStatement(org, slice), rollUpStatement(org, slice)] : []),
    ...(more ? [] : [statement('DELETE FROM recounts WHERE org = ?1 AND seq = ?2', org, work.seq)]),
  ])
  return more ? (ids.length > slice.length ? slice.at(-1)! : looked.at(-1)!.id) : null
}
