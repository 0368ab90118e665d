import { type Database, type Statement, statement } from '../../db/database.ts'
import type { LastOutput } from './accept.ts'
import { type PerEngine, perEngine } from './engines.ts'
import type { Incoming } from './incoming.ts'
import { jsonChunks } from './json-chunks.ts'
import type { Said } from './merge.ts'

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
  ran: number
  last: PerEngine<LastOutput>
}

/** What an ingest reads: the artifact, and everything that the organization knows about its packages. */
export interface FindingsState {
  seq: number
  newest: PerEngine<number | null>
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

export const STATE = 'SELECT seq, trivy_newest, grype_newest, osv_newest FROM ingest_state WHERE org = ?1'

const ARTIFACT = `SELECT id, image_id, registry_num, live, ran, trivy_build, grype_build, osv_build,
  trivy_at, grype_at, osv_at FROM artifacts WHERE org = ?1 AND id = ?2`

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

const LINKED = `SELECT ap.package, coalesce(v.silent, 0) AS silent, ${MATCH}
  FROM artifact_packages ap
  LEFT JOIN matches m INDEXED BY matches_key ON m.org = ap.org AND m.package = ap.package
  LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
  WHERE ap.org = ?1 AND ap.artifact = ?2`

const LOCATIONS = 'SELECT chunk, digest FROM artifact_locations WHERE org = ?1 AND artifact = ?2'

const VULNERABILITIES = `SELECT v.id, v.digest, v.engines
  FROM json_each(?2) j CROSS JOIN vulnerabilities v ON v.org = ?1 AND v.id = j.value`

export type Row = Record<string, string | number | null>

/** One round trip. Null when the organization has no such artifact. Writes package versions it has not seen; they are invisible until linked. */
export async function readState(
  db: Database,
  org: number,
  artifact: number,
  incoming: Incoming,
): Promise<FindingsState | null> {
  const packages = jsonChunks(
    incoming.packages.map(({ identity, context }) => [
      identity.name,
      identity.version,
      identity.type,
      context,
    ]),
  )
  const advisories = jsonChunks(incoming.vulnerabilities.map(({ text }) => text.id))
  const batches: Statement[][] = [
    [statement(STATE, org)],
    [statement(ARTIFACT, org, artifact)],
    packages.map(({ json }) => statement(ADD_PACKAGES, org, json)),
    packages.map(({ json }) => statement(INCOMING, org, artifact, json)),
    [statement(LINKED, org, artifact)],
    [statement(LOCATIONS, org, artifact)],
    advisories.map(({ json }) => statement(VULNERABILITIES, org, json)),
  ]
  const results = await db.batch(batches.flat())
  const [state, artifacts, , listed, linked, locations, vulnerabilities] = batches.map((batch) =>
    results.splice(0, batch.length).map(({ rows }) => rows as Row[]),
  )
  const row = artifacts![0]![0]
  if (!row) return null
  const known = listed!.flatMap((rows, chunk) =>
    rows.map((r) => ({ ...r, position: (r.position as number) + packages[chunk]!.from }) as Row),
  )
  return {
    ...packagesOf(known, incoming),
    ...serialOf(state![0]![0]),
    artifact: artifactOf(row),
    linked: new Set(linked![0]!.map((r) => r.package as number)),
    matches: [
      ...linked![0]!.filter((r) => r.id !== null).map((r) => matchOf(r, true)),
      ...known.filter((r) => r.id !== null).map((r) => matchOf(r, false)),
    ],
    locations: new Map(locations![0]!.map((r) => [r.chunk as number, r.digest as string])),
    vulnerabilities: new Map(
      vulnerabilities!
        .flat()
        .map((r) => [r.id as string, { digest: r.digest as string, engines: r.engines as number }]),
    ),
  }
}

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
})

const artifactOf = (row: Row): ArtifactState => ({
  id: row.id as number,
  imageId: row.image_id as string,
  registry: row.registry_num as number,
  live: row.live === 1,
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
  said: JSON.parse(row.said as string) as Said,
  first: perEngine((engine) => row[`${engine}_first`] as number | null),
  engines: row.engines as number,
  silent: linked ? (row.silent as number) : 0,
  linked,
})
