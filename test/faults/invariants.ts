import type { Organization } from '../../src/context.ts'
import { statement } from '../../src/db/database.ts'
import { countFinding, gradeOf, noCounts, riskOf } from '../../src/risk/findings/grade.ts'
import { FINDING_ENGINES_SQL, VISIBLE_SQL } from '../../src/risk/findings/visible.ts'
import { objectsOf, shardOf, tablesOf } from './canonical.ts'

type Row = Record<string, unknown>

const FINDINGS = `SELECT a.id AS artifact, m.severity, m.cvss, ${FINDING_ENGINES_SQL} AS engines
  FROM artifacts a CROSS JOIN artifact_packages ap ON ap.org = a.org AND ap.artifact = a.id
  CROSS JOIN matches m ON m.org = ap.org AND m.package = ap.package
  LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
  WHERE a.org = ?1 AND ${VISIBLE_SQL}`

/** What an organization's rows contradict, as sentences: counters that are not what they count, blobs without a name. */
export async function contradictions(organization: Organization): Promise<string[]> {
  const tables = await tablesOf(organization)
  const findings = await shardOf(organization).all<Row>(statement(FINDINGS, organization.num))
  return [
    ...countersOfArtifacts(tables, findings),
    ...countersOfImages(tables),
    ...totals(tables),
    ...blobs(organization.num, tables, await objectsOf(organization)),
    ...ends(tables),
  ]
}

function differs(what: string, kept: unknown, counted: unknown): string[] {
  const [a, b] = [JSON.stringify(kept), JSON.stringify(counted)]
  return a === b ? [] : [`${what} says ${a}, counted are ${b}`]
}

const ratingOf = (row: Row) => [row.critical, row.high, row.medium, row.low, row.unknown, row.grade, row.risk]

function countersOfArtifacts(tables: Record<string, Row[]>, findings: Row[]): string[] {
  const links = Map.groupBy(tables.artifact_packages!, (link) => link.artifact)
  const shown = Map.groupBy(findings, (finding) => finding.artifact)
  return tables
    .artifacts!.filter((row) => row.live === 1 && row.ran !== 0)
    .flatMap((row) => {
      const counts = noCounts()
      for (const { severity, cvss } of shown.get(row.id) ?? []) {
        countFinding(counts, severity as number, cvss as number | null)
      }
      const { critical, high, medium, low, unknown, cvssSum, cvssCount } = counts
      const counted = [
        critical,
        high,
        medium,
        low,
        unknown,
        gradeOf(counts),
        riskOf(counts),
        cvssSum,
        cvssCount,
      ]
      const packages = links.get(row.id)?.length ?? 0
      const kept = [...ratingOf(row), row.cvss_sum, row.cvss_count, row.packages]
      return differs(`artifact ${row.id}`, kept, [...counted, packages])
    })
}

function countersOfImages(tables: Record<string, Row[]>): string[] {
  const artifacts = new Map(tables.artifacts!.map((row) => [row.id, row]))
  return tables.images!.flatMap((image) => {
    const tags = tables.tags!.filter((tag) => tag.image_id === image.id)
    const latest = tags.find((tag) => tag.name === image.latest_tag)
    const artifact = artifacts.get(image.latest_artifact)
    return [
      ...differs(`image ${image.id} tag_count`, image.tag_count, tags.length),
      ...(latest ? differs(`image ${image.id} shows`, image.latest_artifact, latest.artifact) : []),
      ...(artifact ? differs(`image ${image.id}`, ratingOf(image), ratingOf(artifact)) : []),
    ]
  })
}

const SEVERITIES = ['unknown', 'low', 'medium', 'high', 'critical'] as const

function totals(tables: Record<string, Row[]>): string[] {
  const state = tables.ingest_state![0]
  const stored = SEVERITIES.map(
    (_, level) => tables.matches!.filter(({ severity }) => severity === level).length,
  )
  const links = Map.groupBy(tables.artifact_packages!, (link) => link.package)
  return [
    ...differs('scan_totals', tables.scan_totals![0]?.scans ?? 0, tables.scans!.length),
    ...(state && state.unfinished === null
      ? differs(
          'ingest_state',
          SEVERITIES.map((name) => state[name]),
          stored,
        )
      : []),
    ...tables.registries!.flatMap((registry) =>
      differs(
        `registry ${registry.id}`,
        registry.image_count,
        tables.images!.filter((image) => image.registry_id === registry.id).length,
      ),
    ),
    ...tables.packages!.flatMap(({ id, holders }) =>
      differs(`package ${id}`, holders, links.get(id)?.length ?? 0),
    ),
    ...tables.advisory_texts!.flatMap(({ id, members }) =>
      differs(`pack ${id}`, members, tables.vulnerabilities!.filter(({ texts }) => texts === id).length),
    ),
  ]
}

/** Objects that nothing names, and names of objects that are not there. */
function blobs(org: number, tables: Record<string, Row[]>, objects: string[]): string[] {
  const named = new Set([
    ...tables.scans!.map(({ result_key }) => result_key),
    ...tables.jobs!.map(({ result_key }) => result_key),
    ...tables.scan_blobs!.map(({ sha256 }) => `orgs/${org}/sha256/${sha256}`),
    ...tables.blob_deletions!.map(({ object_key }) => object_key),
  ])
  const there = new Set(objects)
  const shown = tables.scans!.flatMap(({ blobs: json, result_key }) => [
    ...Object.values(JSON.parse(String(json ?? '{}')) as Record<string, { sha256: string }>).map(
      ({ sha256 }) => `orgs/${org}/sha256/${sha256}`,
    ),
    ...(result_key === null ? [] : [String(result_key)]),
  ])
  return [
    ...objects.filter((key) => !named.has(key)).map((key) => `nothing names ${key}`),
    ...shown.filter((key) => !there.has(key)).map((key) => `${key} is not there`),
  ]
}

/** A scan that has ended has no deadline, and its job is done. */
function ends(tables: Record<string, Row[]>): string[] {
  const running = new Set(tables.scans!.filter(({ deadline_at }) => deadline_at !== null).map(({ id }) => id))
  return [
    ...tables
      .jobs!.filter(({ state, scan_id }) => state !== 'done' && !running.has(scan_id))
      .map(({ id, state }) => `job ${id} is ${state}, its scan has ended`),
    ...tables
      .scans!.filter(
        ({ status, deadline_at }) => /PENDING|IN_PROGRESS/.test(String(status)) !== (deadline_at !== null),
      )
      .map(({ id, status }) => `scan ${id} is ${status} with a deadline that is not so`),
  ]
}
