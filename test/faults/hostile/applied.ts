import { expect } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { identityOf, type PackageIdentity } from '../../../src/risk/findings/package-key.ts'
import { FINDING_ENGINES_SQL, VISIBLE_SQL } from '../../../src/risk/findings/visible.ts'
import { FINDING_ENGINES, type FindingEngine, type Result } from '../../../src/scanning/sensors/result.ts'
import type { World } from '../../scanning/world.ts'
import type { Ended } from './leased-job.ts'

export type Findings = Record<FindingEngine, string[]>

/** What an organization's artifacts show, and what its counters say. */
export interface Shown {
  /** By artifact and engine: package, version, type and vulnerability. */
  findings: Map<number, Findings>
  /** Every counter beside the number that the rows give; equal unless something was applied in part. */
  counters: { kept: unknown; counted: unknown }
}

const BITS: Record<FindingEngine, number> = { trivy: 1, grype: 2, osv: 4 }
const SHOWN = `FROM artifacts a CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
  CROSS JOIN packages p ON p.id = ap.package CROSS JOIN matches m ON m.org = ap.org AND m.package = ap.package
  LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
  WHERE a.org = ?1 AND ${VISIBLE_SQL}`
const LEVELS = ['unknown', 'low', 'medium', 'high', 'critical'] as const
const COUNTS = LEVELS.join(', ')

const textOf = (name: string, version: string, type: string, vulnerability: string) =>
  JSON.stringify([name, version, type, vulnerability])

type Row = Record<string, unknown>

export async function shownBy({ at, organization: { num: org } }: World): Promise<Shown> {
  const [found, artifacts, images, held, totals, matches] = (
    await at(Date.now()).db.batch([
      statement(
        `SELECT a.id AS artifact, p.name, p.version, p.type, m.vulnerability, m.severity,
                ${FINDING_ENGINES_SQL} AS bits ${SHOWN}`,
        org,
      ),
      statement(
        `SELECT id, packages, (SELECT count(*) FROM artifact_packages p WHERE p.org = ?1 AND p.artifact = a.id) AS links,
                ${COUNTS} FROM artifacts a WHERE a.org = ?1 AND a.ran <> 0`,
        org,
      ),
      statement(
        `SELECT i.latest_artifact AS id, ${LEVELS.map((level) => `i.${level}`).join(', ')} FROM images i
           CROSS JOIN artifacts a ON a.id = i.latest_artifact WHERE i.org = ?1 AND a.ran <> 0`,
        org,
      ),
      statement(
        `SELECT p.name, p.holders AS kept,
                (SELECT count(*) FROM artifact_packages l WHERE l.org = ?1 AND l.package = p.id) AS counted
           FROM packages p WHERE p.org = ?1`,
        org,
      ),
      statement(`SELECT ${COUNTS}, unfinished FROM ingest_state WHERE org = ?`, org),
      statement('SELECT severity FROM matches WHERE org = ?', org),
    ])
  ).map(({ rows }) => rows as Row[])
  const bySeverity = (rows: Row[]) =>
    LEVELS.map((_, level) => rows.filter((row) => row.severity === level).length)
  const countsOf = (row: Row) => LEVELS.map((level) => row[level])
  const ofArtifact = (id: unknown) => found!.filter(({ artifact }) => artifact === id)
  return {
    findings: new Map(artifacts!.map(({ id }) => [id as number, findingsOf(ofArtifact(id))])),
    counters: {
      kept: {
        artifacts: artifacts!.map((row) => [row.packages, ...countsOf(row)]),
        images: images!.map(countsOf),
        holders: held!.map(({ kept }) => kept),
        totals: totals!.map((row) => [...countsOf(row), row.unfinished]),
      },
      counted: {
        artifacts: artifacts!.map((row) => [row.links, ...bySeverity(ofArtifact(row.id))]),
        images: images!.map((row) => bySeverity(ofArtifact(row.id))),
        holders: held!.map(({ counted }) => counted),
        totals: totals!.map(() => [...bySeverity(matches!), null]),
      },
    },
  }
}

/** The packages of each artifact, in the order of their ids. */
export async function packagesOf({
  at,
  organization: { num: org },
}: World): Promise<Map<number, PackageIdentity[]>> {
  const rows = await at(Date.now()).db.all<PackageRow>(
    statement(
      `SELECT ap.artifact, p.name, p.version, p.type, p.context FROM artifact_packages ap CROSS JOIN packages p
        WHERE ap.org = ? AND p.id = ap.package ORDER BY p.id`,
      org,
    ),
  )
  const byArtifact = Map.groupBy(rows, ({ artifact }) => artifact)
  return new Map(
    [...byArtifact].map(([artifact, held]) => [
      artifact,
      held.map((row) => identityOf({ ...row, context: JSON.parse(row.context) })),
    ]),
  )
}

interface PackageRow {
  artifact: number
  name: string
  version: string
  type: string
  context: string
}

function findingsOf(rows: Row[]): Findings {
  const of = (engine: FindingEngine) =>
    rows
      .filter(({ bits }) => ((bits as number) & BITS[engine]) !== 0)
      .map((row) =>
        textOf(...([row.name, row.version, row.type, row.vulnerability] as Parameters<typeof textOf>)),
      )
      .sort()
  return { trivy: of('trivy'), grype: of('grype'), osv: of('osv') }
}

/** What an engine of a result prints, each package version and vulnerability once. */
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
 * A complete scan was applied whole: an engine whose word counts shows what it printed about the scan's artifact, any
 * other at least what it showed before, and every counter of the organization is that of the rows.
 */
export function expectApplied(result: Result, ended: Ended, before: Shown, after: Shown, hint: string): void {
  const [old, now] = [before, after].map(({ findings }) => findings.get(ended.artifact!))
  for (const engine of FINDING_ENGINES) {
    const run = ended.engines.find(({ name }) => name === engine)
    const counts = run?.status === 'succeeded' && !isRefusal(run.reason)
    const shown = [...new Set(now?.[engine] ?? [])]
    if (counts) expect(shown, `${engine}, ${hint}`).toEqual(printedBy(result, engine))
    else expect(shown, `${engine}, ${hint}`).toEqual(expect.arrayContaining(old?.[engine] ?? []))
  }
  expect(after.counters.kept, hint).toEqual(after.counters.counted)
}

const isRefusal = (reason: { code: string } | null): boolean =>
  ['database_older', 'database_from_future', 'scan_older'].includes(reason?.code ?? '')
