import type { Statement } from '../../db/database.ts'
import { sql } from '../../db/sql.ts'
import { affectedCount } from './shown.ts'

/** A match as lists read it. Times in milliseconds, `cvss` in tenths, `severity` 0 UNKNOWN … 4 CRITICAL. */
export interface MatchRow {
  id: number
  vulnerability: string
  packageId: number
  name: string
  version: string
  severity: number
  cvss: number | null
  cvssVector: string | null
  fixedVersion: string | null
  /** As `readSaid` reads it with `cvssVector`. */
  said: string
  trivyFirst: number | null
  grypeFirst: number | null
  osvFirst: number | null
  engines: number
  status: number
  seenAt: number
  /** JSON [type, context]. */
  package: string
  /** JSON array, or null without advisory text. */
  aliases: string | null
  affected: number
}

/** Where an engine did not run everywhere, artifacts are counted one by one up to here. */
const AFFECTED_COUNTED = 1000

/** The columns of `MatchRow` over `m` and what `MATCH_JOINS` adds to it: two lookups and the exclusions of the match. */
export const matchColumns = (org: number): Statement =>
  sql`m.id, m.vulnerability, m.package AS packageId, m.name, m.version, m.severity, m.cvss,
    m.cvss_vector AS cvssVector, m.fixed_version AS fixedVersion, m.said, m.trivy_first AS trivyFirst,
    m.grype_first AS grypeFirst, m.osv_first AS osvFirst, m.engines, m.status, m.seen_at AS seenAt,
    json_array(p.type, json(p.context)) AS package, u.aliases, ${affectedCount(org, AFFECTED_COUNTED, 'p.holders')} AS affected`

/** Package `p` and advisory `u` of a match `m`, each by its primary key. */
export const MATCH_JOINS = `CROSS JOIN packages p ON p.id = m.package AND +p.org = m.org
  LEFT JOIN vulnerabilities u ON u.org = m.org AND u.id = m.vulnerability`
