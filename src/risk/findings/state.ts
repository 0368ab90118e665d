import { type Database, type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import type { LastOutput } from './accept.ts'
import { type PerEngine, perEngine } from './engines.ts'
import type { Incoming } from './incoming.ts'
import type { Said } from './merge.ts'
import { readSaid } from './said.ts'

export interface StoredMatch {
  id: number
  package: number
  vulnerability: string
  severity: number
  cvss: number | null
  vector: string | null
  fixedVersion: string | null
  said: Said
  first: PerEngine<number | null>
  engines: number
  /** Engines (bits) that the artifact excludes. */
  silent: number
  /** False when the package reaches the artifact with this result. */
  linked: boolean
}

export interface ArtifactState {
  id: number
  imageId: string
  registry: number
  live: boolean
  /** No tag names it and no pin holds it: it is to be retired again. */
  unnamed: boolean
  ran: number
  last: PerEngine<LastOutput>
}

/** What an ingest reads: the artifact, and everything that the organization knows about its packages. */
export interface FindingsState {
  seq: number
  newest: PerEngine<number | null>
  /** Changes of matches that are written in part. */
  unfinished: readonly string[]
  artifact: ArtifactState
  /** Ids of the incoming packages, by their key. */
  packageIds: Map<string, number>
  /** Live artifacts that hold a package, this one included. Known for incoming packages. */
  holders: Map<number, number>
  /** Packages linked to the artifact before this result. */
  linked: Set<number>
  matches: StoredMatch[]
  /** Chunk (smallest package id) to digest. */
  locations: Map<number, string>
  vulnerabilities: Map<string, { digest: string; engines: number }>
}

/** Columns of a match, over the alias `m`. */
export const MATCH = `m.id, m.vulnerability, m.severity, m.cvss, m.cvss_vector, m.fixed_version, m.said,
  m.trivy_first, m.grype_first, m.osv_first, m.engines`

export const STATE =
  'SELECT seq, trivy_newest, grype_newest, osv_newest, unfinished FROM ingest_state WHERE org = ?1'

/** No tag names the artifact, and no pin holds it at the time ?3. Over the table `artifacts`, organization ?1. */
export const UNNAMED = `(pinned_until IS NULL OR pinned_until <= ?3)
  AND NOT EXISTS (SELECT 1 FROM tag_artifacts t INDEXED BY tag_artifacts_holder
    WHERE t.org = ?1 AND t.artifact = artifacts.id)
  AND NOT EXISTS (SELECT 1 FROM tags t INDEXED BY tags_artifact WHERE t.org = ?1 AND t.artifact = artifacts.id)`

const ARTIFACT = `SELECT id, image_id, registry_num, live, ran, trivy_build, grype_build, osv_build,
  trivy_at, grype_at, osv_at, ${UNNAMED} AS unnamed FROM artifacts WHERE org = ?1 AND id = ?2`

const ADD_PACKAGES = `INSERT INTO packages (org, name, version, type, context)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true
  ON CONFLICT (org, name, version, type, context) DO NOTHING`

/** Each incoming package's id, and the known matches of those that the artifact does not hold yet. */
const INCOMING = `SELECT j.key AS position, p.id AS package, p.holders, ap.package IS NOT NULL AS linked, ${MATCH}
  FROM json_each(?3) j
  CROSS JOIN packages p INDEXED BY packages_key ON p.org = ?1 AND p.name = j.value ->> 0
    AND p.version = j.value ->> 1 AND p.type = j.value ->> 2 AND p.context = j.value ->> 3
  LEFT JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = ?2 AND ap.package = p.id
  LEFT JOIN matches m INDEXED BY matches_key ON m.org = ?1 AND m.package = p.id AND ap.package IS NULL`

const LINK_PAGE = `SELECT org, artifact, package FROM artifact_packages
  WHERE org = ?1 AND artifact = ?2 AND package > ?3 ORDER BY package LIMIT ?4`

const LINKED = `SELECT json_group_array(package) AS packages FROM (${LINK_PAGE})`

const MATCHED = `SELECT page.package, coalesce(v.silent, 0) AS silent, ${MATCH}
  FROM (${LINK_PAGE}) page
  CROSS JOIN matches m INDEXED BY matches_key ON m.org = page.org AND m.package = page.package
  LEFT JOIN overrides v ON v.org = page.org AND v.match = m.id AND v.artifact = page.artifact`

const LOCATIONS = 'SELECT chunk, digest FROM artifact_locations WHERE org = ?1 AND artifact = ?2'

const VULNERABILITIES = `SELECT v.id, v.digest, v.engines
  FROM json_each(?2) j CROSS JOIN vulnerabilities v ON v.org = ?1 AND v.id = j.value`

export type Row = Record<string, string | number | null>

const LINKS_A_STATEMENT = 10_000 // with about 20,000 matches: some 10 MB of rows
const CHUNKS_A_BATCH = 4 // of packages, up to 1 MB each, sent twice

/**
 * One round trip for up to 10,000 links and some 25,000 packages; larger ones are read in pages, and count only
 * if the serial number, read first, is still the same when the plan is written. Null when the organization has
 * no such artifact. Writes package versions it has not seen; they are invisible until linked.
 */
export async function readState(
  db: Database,
  org: number,
  artifact: number,
  incoming: Incoming,
  now: number,
): Promise<FindingsState | null> {
  const chunks = jsonChunks(
    incoming.packages.map(({ identity, context }) => [
      identity.name,
      identity.version,
      identity.type,
      context,
    ]),
  )
  const advisories = jsonChunks(incoming.vulnerabilities.map(({ text }) => text.id))
  const listed: Row[] = []
  const linked = new Set<number>()
  const matched: Row[] = []
  const batches: Statement[][] = [
    [statement(STATE, org), statement(ARTIFACT, org, artifact, now), statement(LOCATIONS, org, artifact)],
    advisories.map(({ json }) => statement(VULNERABILITIES, org, json)),
    ...packagePages(org, artifact, chunks.slice(0, CHUNKS_A_BATCH)),
    linkPage(org, artifact, 0),
  ]
  const [head, texts, , found, first] = await batched(db, batches)
  const [state, own, locations] = head!
  if (own!.length === 0) return null
  const collect = (pages: Row[][], from: number) => {
    for (const [index, rows] of pages.entries()) {
      const offset = chunks[from + index]!.from
      for (const row of rows) listed.push({ ...row, position: (row.position as number) + offset })
    }
  }
  collect(found!, 0)
  for (let from = CHUNKS_A_BATCH; from < chunks.length; from += CHUNKS_A_BATCH) {
    const [, more] = await batched(db, packagePages(org, artifact, chunks.slice(from, from + CHUNKS_A_BATCH)))
    collect(more!, from)
  }
  for (let page = first!; ; ) {
    const packages = JSON.parse(page[0]![0]!.packages as string) as number[]
    for (const id of packages) linked.add(id)
    for (const row of page[1]!) matched.push(row)
    if (packages.length < LINKS_A_STATEMENT) break
    page = (await batched(db, [linkPage(org, artifact, packages.at(-1)!)]))[0]!
  }
  return {
    ...packagesOf(listed, incoming),
    ...serialOf(state![0]),
    artifact: artifactOf(own![0]!),
    linked,
    matches: [
      ...matched.map((row) => matchOf(row, true)),
      ...listed.filter((row) => row.id !== null).map((row) => matchOf(row, false)),
    ],
    locations: new Map(locations!.map((row) => [row.chunk as number, row.digest as string])),
    vulnerabilities: new Map(texts!.flat().map((row) => [row.id as string, textOf(row)])),
  }
}

const packagePages = (
  org: number,
  artifact: number,
  chunks: { json: string }[],
): [Statement[], Statement[]] => [
  chunks.map(({ json }) => statement(ADD_PACKAGES, org, json)),
  chunks.map(({ json }) => statement(INCOMING, org, artifact, json)),
]

const linkPage = (org: number, artifact: number, after: number): Statement[] =>
  [LINKED, MATCHED].map((sql) => statement(sql, org, artifact, after, LINKS_A_STATEMENT))

/** Rows of groups of statements that run as one batch. */
async function batched(db: Database, groups: Statement[][]): Promise<Row[][][]> {
  const results = await db.batch(groups.flat())
  return groups.map((group) => results.splice(0, group.length).map(({ rows }) => rows as Row[]))
}

const textOf = (row: Row) => ({ digest: row.digest as string, engines: row.engines as number })

function packagesOf(rows: Row[], incoming: Incoming) {
  const packageIds = new Map<string, number>()
  const holders = new Map<number, number>()
  for (const row of rows) {
    packageIds.set(incoming.packages[row.position as number]!.key, row.package as number)
    holders.set(row.package as number, row.holders as number)
  }
  return { packageIds, holders }
}

/** The row of `STATE`; 0 and nothing before the first ingest. */
export const serialOf = (row: Row | undefined) => ({
  seq: (row?.seq as number | undefined) ?? 0,
  newest: perEngine((engine) => (row?.[`${engine}_newest`] as number | null | undefined) ?? null),
  unfinished: JSON.parse((row?.unfinished as string | null | undefined) ?? '[]') as string[],
})

const artifactOf = (row: Row): ArtifactState => ({
  id: row.id as number,
  imageId: row.image_id as string,
  registry: row.registry_num as number,
  live: row.live === 1,
  unnamed: row.unnamed !== 0,
  ran: row.ran as number,
  last: perEngine((engine) => ({
    build: row[`${engine}_build`] as number | null,
    scannedAt: row[`${engine}_at`] as number | null,
  })),
})

/** A row of `MATCH` with its package and, for a linked one, what the artifact excludes. */
export const matchOf = (row: Row, linked: boolean): StoredMatch => ({
  id: row.id as number,
  package: row.package as number,
  vulnerability: row.vulnerability as string,
  severity: row.severity as number,
  cvss: row.cvss as number | null,
  vector: row.cvss_vector as string | null,
  fixedVersion: row.fixed_version as string | null,
  said: readSaid(row.said as string, row.cvss_vector as string | null),
  first: perEngine((engine) => row[`${engine}_first`] as number | null),
  engines: row.engines as number,
  silent: linked ? (row.silent as number) : 0,
  linked,
})
