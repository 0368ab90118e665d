import { type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { resolvedMatches } from './effects.ts'
import { gzipText } from './gzip-text.ts'
import type { LocationChunk } from './locations.ts'
import type { Plan } from './plan.ts'

const LINK = `INSERT INTO artifact_packages (org, artifact, package, registry, since)
  SELECT ?1, ?2, value, ?3, ?4 FROM json_each(?5)`

/** By primary key: `+org` keeps the planner from walking the organization's packages. */
const HOLD =
  'UPDATE packages SET holders = holders + 1 WHERE +org = ?1 AND id IN (SELECT value FROM json_each(?2))'

/** Packages that reach the artifact: two trees and the package's number of holders. */
export const linkStatements = (org: number, { state, newLinks }: Plan, since: number): Statement[] =>
  jsonChunks(newLinks).flatMap(({ json }) => [
    statement(LINK, org, state.artifact.id, state.artifact.registry, since, json),
    statement(HOLD, org, json),
  ])

const PLACE = `INSERT INTO artifact_locations (org, artifact, chunk, digest, data) VALUES (?1, ?2, ?3, ?4, ?5)
  ON CONFLICT (org, artifact, chunk) DO UPDATE SET digest = excluded.digest, data = excluded.data`

const UNPLACE = `DELETE FROM artifact_locations
  WHERE org = ?1 AND artifact = ?2 AND chunk IN (SELECT value FROM json_each(?3))`

/** Chunks of locations as they are to be. */
export const locationStatements = (
  org: number,
  artifact: number,
  chunks: readonly LocationChunk[],
): Promise<Statement[]> =>
  Promise.all(
    chunks.map(async ({ chunk, digest, json }) =>
      statement(PLACE, org, artifact, chunk, digest, await gzipText(json)),
    ),
  )

/** Chunks that are no more. */
export const unplaceStatements = (org: number, artifact: number, chunks: readonly number[]): Statement[] =>
  chunks.length === 0 ? [] : [statement(UNPLACE, org, artifact, JSON.stringify(chunks))]

const RESOLVED = `INSERT INTO resolutions (org, image_id, vulnerability, package, artifact, severity, detected_at,
    resolved_at)
  SELECT ?1, ?3, m.vulnerability, m.package, ?2, m.severity, max(m.seen_at, ap.since), ?4
  FROM json_each(?5) j
  CROSS JOIN matches m ON m.id = j.value AND m.org = ?1
  CROSS JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = ?2 AND ap.package = m.package
  WHERE true ON CONFLICT DO NOTHING`

/** Findings of the artifact that are gone; runs before their matches may go. */
export const resolutionStatements = (org: number, plan: Plan, resolvedAt: number): Statement[] =>
  jsonChunks(resolvedMatches(plan)).map(({ json }) =>
    statement(RESOLVED, org, plan.state.artifact.id, plan.state.artifact.imageId, resolvedAt, json),
  )
