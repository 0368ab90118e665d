import { expect } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { FINDING_ENGINES_SQL, VISIBLE_SQL } from '../../../src/risk/findings/visible.ts'
import { FINDING_ENGINES, type FindingEngine, Result } from '../../../src/scanning/sensors/result.ts'
import type { World } from '../../scanning/world.ts'

/** What an organization with one image shows, and what its counters say. */
export interface Shown {
  /** Findings of each engine: package, version, type and vulnerability. */
  findings: Record<FindingEngine, string[]>
  /** Every counter beside the number that the rows give; equal unless something was applied in part. */
  counters: { kept: unknown; counted: unknown }
}

const BITS: Record<FindingEngine, number> = { trivy: 1, grype: 2, osv: 4 }
const SHOWN = `FROM artifacts a CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
  CROSS JOIN packages p ON p.id = ap.package CROSS JOIN matches m ON m.org = ap.org AND m.package = ap.package
  LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
  WHERE a.org = ?1 AND ${VISIBLE_SQL}`
const BY_SEVERITY = [4, 3, 2, 1, 0].map((level) => `coalesce(sum(m.severity = ${level}), 0)`).join(', ')

const textOf = (name: string, version: string, type: string, vulnerability: string) =>
  JSON.stringify([name, version, type, vulnerability])

export async function shownBy({ at, organization: { num: org } }: World): Promise<Shown> {
  const [found, counted, artifact, image, held, totals, stored] = (
    await at(Date.now()).db.batch([
      statement(
        `SELECT p.name, p.version, p.type, m.vulnerability, ${FINDING_ENGINES_SQL} AS bits ${SHOWN}`,
        org,
      ),
      statement(`SELECT ${BY_SEVERITY} ${SHOWN}`, org),
      statement('SELECT critical, high, medium, low, unknown, packages FROM artifacts WHERE org = ?', org),
      statement('SELECT critical, high, medium, low, unknown FROM images WHERE org = ?', org),
      statement(
        `SELECT (SELECT sum(holders) FROM packages WHERE org = ?1) AS kept,
                (SELECT count(*) FROM artifact_packages WHERE org = ?1) AS counted`,
        org,
      ),
      statement(
        'SELECT critical, high, medium, low, unknown, unfinished FROM ingest_state WHERE org = ?',
        org,
      ),
      statement(`SELECT ${BY_SEVERITY} FROM matches m WHERE m.org = ?`, org),
    ])
  ).map(({ rows }) => rows)
  const rows = found as unknown as Record<'name' | 'version' | 'type' | 'vulnerability' | 'bits', never>[]
  const of = (engine: FindingEngine) =>
    rows
      .filter(({ bits }) => (bits & BITS[engine]) !== 0)
      .map(({ name, version, type, vulnerability }) => textOf(name, version, type, vulnerability))
      .sort()
  const severities = Object.values(counted![0]!)
  const links = held![0]!.counted
  return {
    findings: { trivy: of('trivy'), grype: of('grype'), osv: of('osv') },
    counters: {
      kept: [...[artifact, image, totals].map((list) => Object.values(list![0]!)), held![0]!.kept],
      counted: [[...severities, links], severities, [...Object.values(stored![0]!), null], links],
    },
  }
}

/** What an engine of the envelope prints, each package version and vulnerability once. */
const printedBy = ({ findings, packages, vulnerabilities }: Result, engine: FindingEngine): string[] => {
  const printed = findings
    .filter((finding) => finding.engine === engine)
    .map((finding) => {
      const { name, version, type } = packages[finding.package]!
      return textOf(name, version, type, vulnerabilities[finding.vulnerability]!.id)
    })
  return [...new Set(printed)].sort()
}

/**
 * A complete scan was applied whole: an engine whose word counts shows what it printed, any other what it showed
 * before, and every counter is that of the rows.
 */
export function expectApplied(
  text: string,
  ended: { engines: { name: string; status: string; reason?: unknown }[] },
  before: Shown,
  after: Shown,
  hint: string,
): void {
  const result = Result.parse(JSON.parse(text))
  for (const engine of FINDING_ENGINES) {
    const run = ended.engines.find(({ name }) => name === engine)
    const counts = run?.status === 'succeeded' && !(run.reason && isRefusal(run.reason))
    const wanted = counts ? printedBy(result, engine) : before.findings[engine]
    expect([...new Set(after.findings[engine])], `${engine}, ${hint}`).toEqual(wanted)
  }
  expect(after.counters.kept, hint).toEqual(after.counters.counted)
}

const isRefusal = (reason: unknown): boolean =>
  ['database_older', 'database_from_future', 'scan_older'].includes((reason as { code: string }).code)
