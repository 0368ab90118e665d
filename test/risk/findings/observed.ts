import type { Context } from '../../../src/context.ts'
import { statement } from '../../../src/db/database.ts'
import { enginesOf } from '../../../src/risk/findings/engines.ts'
import { countFinding, gradeOf, noCounts, riskOf } from '../../../src/risk/findings/grade.ts'
import { FINDING_ENGINES_SQL, VISIBLE_SQL } from '../../../src/risk/findings/visible.ts'
import { FINDING_ENGINES } from '../../../src/scanning/sensors/result.ts'
import type { Model } from './model.ts'

/** What can be seen of an organization's findings: plain values, to be compared as a whole. */
export interface Observed {
  findings: Record<string, string>
  exclusions: Record<string, string>
  counters: Record<string, string>
  /** Of images that show a live artifact. */
  images: Record<string, string>
  packages: Record<string, string>
  verdicts: string[]
  /** Matches by severity, UNKNOWN first: as kept, and as stored. */
  totals: { kept: number[]; stored: number[]; unfinished: string | null }
}

const FINDINGS = `SELECT a.image_id AS image, p.name, m.vulnerability, m.severity, m.cvss, ${FINDING_ENGINES_SQL} AS engines
  FROM artifacts a CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
  CROSS JOIN packages p ON p.id = ap.package
  CROSS JOIN matches m ON m.org = ap.org AND m.package = ap.package
  LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
  WHERE a.org = ?1 AND ${VISIBLE_SQL}`

const EXCLUSIONS = `SELECT a.image_id AS image, m.package, p.name, m.vulnerability, v.silent FROM overrides v
  LEFT JOIN artifacts a ON a.id = v.artifact LEFT JOIN matches m ON m.id = v.match LEFT JOIN packages p ON p.id = m.package
  WHERE v.org = ?1 AND v.silent & a.ran <> 0`

const HELD = `SELECT p.name, p.holders, count(ap.artifact) AS links FROM packages p
  LEFT JOIN artifact_packages ap ON ap.org = p.org AND ap.package = p.id WHERE p.org = ?1 GROUP BY p.id`

const nameOf = (image: unknown) => String(image).split('_').slice(2).join('_')
const sorted = (entries: [string, string][]) =>
  Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))

const KEPT = 'SELECT unknown, low, medium, high, critical, unfinished FROM ingest_state WHERE org = ?1'

/** Reads everything back from storage. */
export async function observe({ db, organization: { num: org } }: Context): Promise<Observed> {
  const results = await db.batch([
    statement(FINDINGS, org),
    statement(EXCLUSIONS, org),
    statement('SELECT * FROM artifacts WHERE org = ?1 AND live = 1 AND ran <> 0', org),
    statement(
      `SELECT i.* FROM images i CROSS JOIN artifacts a ON a.id = i.latest_artifact
       WHERE i.org = ?1 AND a.live = 1 AND a.ran <> 0`,
      org,
    ),
    statement(HELD, org),
    statement(
      'SELECT p.name, m.* FROM matches m CROSS JOIN packages p ON p.id = m.package WHERE m.org = ?1',
      org,
    ),
    statement(KEPT, org),
  ])
  const [findings, exclusions, artifacts, images, packages, matches, totals] = results.map(({ rows }) => rows)
  return {
    findings: sorted(
      findings!.map((row) => [
        `${nameOf(row.image)} ${row.name} ${row.vulnerability}`,
        `${enginesOf(row.engines as number)} ${row.severity} ${row.cvss}`,
      ]),
    ),
    exclusions: sorted(
      exclusions!.map((row) => [
        `${nameOf(row.image)} ${row.name} ${row.vulnerability}`,
        String(enginesOf(row.silent as number)),
      ]),
    ),
    counters: sorted(artifacts!.map((row) => [nameOf(row.image_id), counters(row)])),
    images: sorted(images!.map((row) => [nameOf(row.id), rating(row)])),
    packages: sorted(
      packages!
        .filter((row) => row.holders !== 0 || row.links !== 0)
        .map((row) => [String(row.name), `${row.holders} ${row.links}`]),
    ),
    verdicts: matches!
      .flatMap((row) =>
        enginesOf(row.engines as number).map(
          (engine) => `${engine} ${row.name} ${row.vulnerability} ${row[`${engine}_first`]}`,
        ),
      )
      .sort(),
    totals: totalsOf(totals![0], matches!),
  }
}

function totalsOf(row: Record<string, unknown> | undefined, matches: Record<string, unknown>[]) {
  const { unfinished, ...kept } = row ?? { unfinished: null, ...[0, 0, 0, 0, 0] }
  return {
    kept: Object.values(kept) as number[],
    stored: bySeverity(matches.map(({ severity }) => severity as number)),
    unfinished: unfinished as string | null,
  }
}

const bySeverity = (list: number[]) =>
  [0, 1, 2, 3, 4].map((level) => list.filter((each) => each === level).length)

const rating = (row: Record<string, unknown>) =>
  [row.critical, row.high, row.medium, row.low, row.unknown, row.grade, row.risk].join(' ')
const counters = (row: Record<string, unknown>) =>
  `${rating(row)} ${row.cvss_sum} ${row.cvss_count} ${row.packages} ${row.trivy_build} ${row.grype_build} ${row.osv_build}`

/** The same of the model. */
export function expected(model: Model): Observed {
  const names = [...model.artifacts.keys()]
  const findings = names.flatMap((name) =>
    [...model.findings(name)].map(([key, { engines, severity, cvss }]): [string, string] => [
      `${name} ${key}`,
      `${engines} ${severity} ${cvss}`,
    ]),
  )
  const shown = new Map(
    names.flatMap((name) => [...model.findings(name)].map(([key, { severity }]) => [key, severity])),
  )
  const totals = bySeverity([...shown.values()])
  const holders = new Map<string, number>()
  for (const { links } of model.artifacts.values()) {
    for (const name of links) holders.set(name, (holders.get(name) ?? 0) + 1)
  }
  const builds = (name: string) =>
    FINDING_ENGINES.map((engine) => model.artifact(name).last.get(engine)?.build ?? 'null').join(' ')
  const rated = names
    .filter((name) => model.artifact(name).last.size > 0)
    .map((name): [string, string, string] => {
      const counts = noCounts()
      for (const { severity, cvss } of model.findings(name).values()) countFinding(counts, severity, cvss)
      const { critical, high, medium, low, unknown, cvssSum, cvssCount } = counts
      const image = [critical, high, medium, low, unknown, gradeOf(counts), riskOf(counts)].join(' ')
      return [
        name,
        image,
        `${image} ${cvssSum} ${cvssCount} ${model.artifact(name).links.size} ${builds(name)}`,
      ]
    })
  return {
    findings: sorted(findings),
    exclusions: sorted(
      [...model.exclusions()].map(([key, engines]) => [
        key,
        String(FINDING_ENGINES.filter((e) => engines.includes(e))),
      ]),
    ),
    counters: sorted(rated.map(([name, , all]) => [name, all])),
    images: sorted(rated.map(([name, image]) => [name, image])),
    packages: sorted([...holders].map(([name, count]) => [name, `${count} ${count}`])),
    verdicts: [...model.first].map(([id, first]) => `${id} ${first}`).sort(),
    totals: { kept: totals, stored: totals, unfinished: null },
  }
}
