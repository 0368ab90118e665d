import { type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import { ENGINE_BIT } from './engines.ts'
import type { PlannedMatch } from './plan.ts'

const SET = `INSERT INTO overrides (org, match, artifact, silent)
  SELECT ?1, value ->> 0, ?2, value ->> 1 FROM json_each(?3) WHERE true
  ON CONFLICT (org, match, artifact) DO UPDATE SET silent = excluded.silent`

const CLEARED = `DELETE FROM overrides
  WHERE org = ?1 AND artifact = ?2 AND match IN (SELECT value FROM json_each(?3))`

const bit = (engine: 'trivy' | 'grype' | 'osv', position: number) =>
  `CASE WHEN a.${engine}_build >= j.value ->> ${position} THEN ${ENGINE_BIT[engine]} ELSE 0 END`

/**
 * The birth of verdicts, [match, package, first confirmation by trivy, grype, osv or null]: every other
 * holder whose own output is at least as new excludes them. Builds are those at the moment of the batch.
 */
const BORN = `INSERT INTO overrides (org, match, artifact, silent)
  SELECT ?1, match, artifact, bits FROM (
    SELECT j.value ->> 0 AS match, ap.artifact, (${bit('trivy', 2)}) | (${bit('grype', 3)}) | (${bit('osv', 4)}) AS bits
    FROM json_each(?3) j
    CROSS JOIN artifact_packages ap INDEXED BY holders ON ap.org = ?1 AND ap.package = j.value ->> 1
    CROSS JOIN artifacts a ON a.id = ap.artifact
    WHERE ap.artifact <> ?2
  ) WHERE bits <> 0
  ON CONFLICT (org, match, artifact) DO UPDATE SET silent = silent | excluded.silent`

/** Exclusions of the artifact itself, where they changed. */
export function ownExclusionStatements(
  org: number,
  artifact: number,
  matches: readonly PlannedMatch[],
): Statement[] {
  const changed = matches.filter(
    (match) => match.engines !== 0 && match.silent !== (match.before?.silent ?? 0),
  )
  const set = changed.filter((match) => match.silent !== 0).map((match) => [match.id, match.silent])
  const cleared = changed.filter((match) => match.silent === 0).map((match) => match.id)
  return [
    ...jsonChunks(set).map(({ json }) => statement(SET, org, artifact, json)),
    ...jsonChunks(cleared).map(({ json }) => statement(CLEARED, org, artifact, json)),
  ]
}

/** Exclusions of other artifacts for verdicts that appear with this result. */
export function birthStatements(org: number, artifact: number, born: readonly PlannedMatch[]): Statement[] {
  const rows = born.map((match) => [
    match.id,
    match.package,
    match.born & ENGINE_BIT.trivy ? match.first.trivy : null,
    match.born & ENGINE_BIT.grype ? match.first.grype : null,
    match.born & ENGINE_BIT.osv ? match.first.osv : null,
  ])
  return jsonChunks(rows).map(({ json }) => statement(BORN, org, artifact, json))
}
