import { type Database, type Statement, statement } from '../../db/database.ts'
import { jsonChunks } from '../../db/json-chunks.ts'
import type { LastOutput } from './accept.ts'
import { type PerEngine, perEngine } from './engines.ts'
import type { Incoming, IncomingPackage, IncomingVulnerability } from './incoming.ts'
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

/** What an ingest reads first. */
export interface StateHead {
  seq: number
  newest: PerEngine<number | null>
  /** Changes of matches that are written in part. */
  unfinished: readonly string[]
  artifact: ArtifactState
  /** Chunk (smallest package id) to digest. */
  locations: Map<number, string>
}

/** The head, and everything that the organization knows about the packages. */
export interface FindingsState extends StateHead {
  /** Ids of the incoming packages, by their key. */
  packageIds: Map<string, number>
  /** Live artifacts that hold a package, this one included. Known for incoming packages. */
  holders: Map<number, number>
  /** Packages linked to the artifact before this result. */
  linked: Set<number>
  matches: StoredMatch[]
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

export const ADD_PACKAGES = `INSERT INTO packages (org, name, version, type, context)
  SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?2) WHERE true
  ON CONFLICT (org, name, version, type, context) DO NOTHING`

/** The package of an element of `j`: [name, version, type, context]. */
export const INCOMING_KEY = `packages p INDEXED BY packages_key ON p.org = ?1 AND p.name = j.value ->> 0
    AND p.version = j.value ->> 1 AND p.type = j.value ->> 2 AND p.context = j.value ->> 3`

/** Each incoming package's id, and the known matches of those that the artifact does not hold yet. */
const INCOMING = `SELECT j.key AS position, p.id AS package, p.holders, ap.package IS NOT NULL AS linked, ${MATCH}
  FROM json_each(?3) j
  CROSS JOIN ${INCOMING_KEY}
  LEFT JOIN artifact_packages ap ON ap.org = ?1 AND ap.artifact = ?2 AND ap.package = p.id
  LEFT JOIN matches m INDEXED BY matches_key ON m.org = ?1 AND m.package = p.id AND ap.package IS NULL
  LIMIT ?4`

const LINK_PAGE = `SELECT org, artifact, package FROM artifact_packages
  WHERE org = ?1 AND artifact = ?2 AND package > ?3 ORDER BY package LIMIT ?4`

const LINKED = `SELECT json_group_array(package) AS packages FROM (${LINK_PAGE})`

const MATCHED = `SELECT page.package, coalesce(v.silent, 0) AS silent, ${MATCH}
  FROM (${LINK_PAGE}) page
  CROSS JOIN matches m INDEXED BY matches_key ON m.org = page.org AND m.package = page.package
  LEFT JOIN overrides v ON v.org = page.org AND v.match = m.id AND v.artifact = page.artifact LIMIT ?5`

const LOCATIONS = 'SELECT chunk, digest FROM artifact_locations WHERE org = ?1 AND artifact = ?2'

const VULNERABILITIES = `SELECT v.id, v.digest, v.engines
  FROM json_each(?2) j CROSS JOIN vulnerabilities v ON v.org = ?1 AND v.id = j.value`

export type Row = Record<string, string | number | null>

/** What is read at once: some 20 MB of rows. Beyond that findings are read in windows of packages. */
const MOST_LINKS = 10_000
const MOST_MATCHES = 20_000

/** What every ingest reads first: the serial number, the artifact, digests of its locations. */
const headStatements = (org: number, artifact: number, now: number): Statement[] => [
  statement(STATE, org),
  statement(ARTIFACT, org, artifact, now),
  statement(LOCATIONS, org, artifact),
]

/** Null when the organization has no such artifact. */
function headOf([state, own, locations]: Row[][]): StateHead | null {
  if (own!.length === 0) return null
  return {
    ...serialOf(state![0]),
    artifact: artifactOf(own![0]!),
    locations: new Map(locations!.map((row) => [row.chunk as number, row.digest as string])),
  }
}

export async function readHead(
  db: Database,
  org: number,
  artifact: number,
  now: number,
): Promise<StateHead | null> {
  const [rows] = await batched(db, [headStatements(org, artifact, now)])
  return headOf(rows!)
}

/**
 * One round trip for an artifact of up to 10,000 links and 20,000 matches; 'large' for others. Null when the
 * organization has no such artifact. Writes package versions it has not seen; they are invisible until linked.
 */
export async function readState(
  db: Database,
  org: number,
  artifact: number,
  incoming: Incoming,
  now: number,
): Promise<FindingsState | 'large' | null> {
  const chunks = jsonChunks(incoming.packages.map(keyOf))
  const [head, texts, , found, links] = await batched(db, [
    headStatements(org, artifact, now),
    textStatements(org, incoming.vulnerabilities),
    chunks.map(({ json }) => statement(ADD_PACKAGES, org, json)),
    chunks.map(({ json }) => statement(INCOMING, org, artifact, json, MOST_LINKS + MOST_MATCHES)),
    [
      statement(LINKED, org, artifact, 0, MOST_LINKS),
      statement(MATCHED, org, artifact, 0, MOST_LINKS, MOST_MATCHES),
    ],
  ])
  const read = headOf(head!)
  if (!read) return null
  const [linkRows, matched] = links!
  const linked = JSON.parse(linkRows![0]!.packages as string) as number[]
  const listed = found!.flatMap((rows, index) =>
    rows.map((row) => ({ ...row, position: (row.position as number) + chunks[index]!.from })),
  )
  const others = listed.filter((row: Row) => row.id !== null)
  const tooMany = matched!.length + listed.length >= MOST_LINKS + MOST_MATCHES
  if (linked.length >= MOST_LINKS || matched!.length >= MOST_MATCHES || tooMany) return 'large'
  return {
    ...read,
    ...packagesOf(listed, incoming),
    linked: new Set(linked),
    matches: [...matched!.map((row) => matchOf(row, true)), ...others.map((row) => matchOf(row, false))],
    vulnerabilities: textsOf(texts!),
  }
}

/** What is stored of these advisories, by id. */
export async function readTexts(
  db: Database,
  org: number,
  advisories: readonly IncomingVulnerability[],
): Promise<FindingsState['vulnerabilities']> {
  const [texts] = await batched(db, [textStatements(org, advisories)])
  return textsOf(texts!)
}

const textStatements = (org: number, advisories: readonly IncomingVulnerability[]): Statement[] =>
  jsonChunks(advisories.map(({ text }) => text.id)).map(({ json }) => statement(VULNERABILITIES, org, json))

const textsOf = (rows: Row[][]) => new Map(rows.flat().map((row) => [row.id as string, textOf(row)]))

/** What `INCOMING_KEY` finds a package by. */
export const keyOf = ({ identity, context }: IncomingPackage): string[] => [
  identity.name,
  identity.version,
  identity.type,
  context,
]

/** Rows of groups of statements that run as one batch. */
export async function batched(db: Database, groups: Statement[][]): Promise<Row[][][]> {
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
