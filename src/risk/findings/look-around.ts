import { type Database, type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { ENGINE_BIT } from './engines.ts'
import { decodeLocations, type Location } from './locations.ts'
import { RECOUNT_AT_ONCE } from './others.ts'
import type { Range } from './part.ts'
import type { PlannedMatch } from './plan.ts'
import { VISIBLE_SQL } from './visible.ts'

const MAX_OTHERS = RECOUNT_AT_ONCE + 1 // enough to know that they are too many

const SHOWS = `CROSS JOIN artifacts a ON a.id = held.artifact
    LEFT JOIN overrides v ON v.org = ?1 AND v.match = j.value ->> 0 AND v.artifact = held.artifact
    WHERE ${VISIBLE_SQL.replace('m.engines', '(j.value ->> 2)')}`

const HELD = `SELECT ap.artifact FROM artifact_packages ap INDEXED BY holders
      WHERE ap.org = ?1 AND ap.package = j.value ->> 1`

const MINE = '((SELECT registry_num FROM artifacts WHERE id = ?2), ?2)'

const NEIGHBOURS = 20

/**
 * Whether another live artifact shows an engine's verdict: [match, package, bit] in, those that are shown out.
 * Neighbours on both sides come first: when every holder of a base package is scanned again, in any order,
 * and drops the verdict, each finds a holder that still shows it nearby, not behind all that do not.
 */
const SHOWN_ELSEWHERE = `SELECT j.value ->> 0 AS match, j.value ->> 2 AS bit FROM json_each(?3) j
  WHERE EXISTS (SELECT 1 FROM (${HELD} AND (ap.registry, ap.artifact) > ${MINE}
      ORDER BY ap.registry, ap.artifact LIMIT ${NEIGHBOURS}) held ${SHOWS})
    OR EXISTS (SELECT 1 FROM (${HELD} AND (ap.registry, ap.artifact) < ${MINE}
      ORDER BY ap.registry DESC, ap.artifact DESC LIMIT ${NEIGHBOURS}) held ${SHOWS})
    OR EXISTS (SELECT 1 FROM (${HELD} AND ap.artifact <> ?2) held ${SHOWS})`

/** Up to ?4 other live artifacts that hold a package, with about as many rows as counting one again reads. */
const OTHERS = `SELECT a.id, a.packages + 3 * (coalesce(a.critical + a.high + a.medium + a.low + a.unknown, 0)) AS rows
  FROM (SELECT DISTINCT ap.artifact FROM json_each(?3) j
    CROSS JOIN artifact_packages ap INDEXED BY holders ON ap.org = ?1 AND ap.package = j.value
    WHERE ap.artifact <> ?2 LIMIT ?4) found
  CROSS JOIN artifacts a ON a.id = found.artifact`

/** Chunks that may hold a package of ?3 to ?4. */
const PLACES = `SELECT data FROM artifact_locations WHERE org = ?1 AND artifact = ?2 AND chunk <= ?4
  AND chunk >= coalesce((SELECT max(chunk) FROM artifact_locations
    WHERE org = ?1 AND artifact = ?2 AND chunk <= ?3), 0)`

export interface Other {
  id: number
  rows: number
}

export interface Surroundings {
  /** Match id to the engines (bits) that other live artifacts show. */
  shown: Map<number, number>
  /** Other live artifacts that hold a package asked for, and the rows that counting one again reads. */
  others: Other[]
  /** Locations stored for the artifact, of packages asked for and some beside them. */
  places: Map<number, Location[]>
}

/** What an ingest has to know of other artifacts, in one round trip; none when it asks for nothing. */
export async function lookAround(
  db: Database,
  org: number,
  artifact: number,
  ask: { leaving: readonly PlannedMatch[]; packages: readonly number[]; places: Range | null },
): Promise<Surroundings> {
  const leaving = ask.leaving.flatMap((match) =>
    Object.values(ENGINE_BIT).flatMap((bit) => (match.leaving & bit ? [[match.id, match.package, bit]] : [])),
  )
  const batches: Statement[][] = [
    jsonChunks(leaving).map(({ json }) => statement(SHOWN_ELSEWHERE, org, artifact, json)),
    jsonChunks(ask.packages).map(({ json }) => statement(OTHERS, org, artifact, json, MAX_OTHERS)),
    ask.places ? [statement(PLACES, org, artifact, ask.places.from, ask.places.to)] : [],
  ]
  const results = await db.batch(batches.flat())
  const [shownRows, otherRows, placeRows] = batches.map((batch) =>
    results.splice(0, batch.length).flatMap(({ rows }) => rows),
  )
  const shown = new Map<number, number>()
  for (const { match, bit } of shownRows as { match: number; bit: number }[]) {
    shown.set(match, (shown.get(match) ?? 0) | bit)
  }
  const decoded = await Promise.all(placeRows!.map((row) => decodeLocations(row.data as string)))
  return {
    shown,
    others: [...new Map((otherRows as unknown as Other[]).map((other) => [other.id, other])).values()],
    places: new Map(decoded.flatMap((places) => [...places])),
  }
}
