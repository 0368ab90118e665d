import type { Statement } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
import { matchOfVulnerabilityId } from '../../ids.ts'
import { isShown } from '../findings/index.ts'

/**
 * Selects {match}: the one match that `id` names, or NULL. An internal id names its match; anything else is an
 * advisory id, which names a match where the organization shows exactly one with it.
 */
export function matchNamed(org: number, id: string): Statement {
  const match = matchOfVulnerabilityId(id)
  const advisory = /^cve-/i.test(id) ? id.toUpperCase() : id
  const named =
    match === null
      ? sql`SELECT m.id FROM matches m INDEXED BY matches_vulnerability
          WHERE m.org = ${org} AND m.vulnerability = ${advisory} AND ${isShown(org)} LIMIT 2`
      : sql`SELECT m.id FROM matches m WHERE m.id = ${match} AND m.org = ${org} AND ${isShown(org)}`
  return sql`SELECT CASE count(*) WHEN 1 THEN max(id) END AS match FROM (${named})`
}
