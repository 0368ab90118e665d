import type { Context } from '../../context.ts'
import { raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import { listSpec, type Page, type PageRequest, pageOf } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import { affectedCount, decodeLocations, FINDING_ENGINES_SQL, VISIBLE_SQL } from '../findings/index.ts'
import { matchNamed } from './named.ts'

export const VULNERABILITY_IMAGE_LIST = listSpec({
  name: 'vulnerability-images',
  sorts: ['registry'],
  defaultSort: { column: 'registry', direction: 'asc' },
  filters: {},
})

export type VulnerabilityImageRequest = PageRequest<'registry'>

/** A live artifact that shows a match. Times in milliseconds. */
export interface AffectedImageRow {
  imageId: string
  imageName: string
  /** Of the tags that name the artifact the one that moved last; null for a scan by digest. */
  tag: string | null
  digest: string
  platform: string
  layer: string | null
  path: string | null
  since: number
  /** Engines (bits) that find it there, when each first confirmed it, and the last build that scanned there. */
  found: number
  first: (number | null)[]
  built: (number | null)[]
}

interface Read extends Omit<AffectedImageRow, 'layer' | 'path' | 'first' | 'built'> {
  registry: number
  artifact: number
  packageId: number
  layers: string | null
  places: string | null
  builds: string
}

const MOST_COUNTED = 10_000
const TAGS_LOOKED_AT = 20

const COLUMNS = `a.image_id AS imageId, a.image_name AS imageName, a.digest, a.platform, a.layers,
  ap.registry, ap.artifact, ap.package AS packageId, max(m.seen_at, (SELECT l.since FROM artifact_packages l
    WHERE l.org = ap.org AND l.artifact = ap.artifact AND l.package = ap.package)) AS since,
  ${FINDING_ENGINES_SQL} AS found,
  json_array(m.trivy_first, m.grype_first, m.osv_first, a.trivy_build, a.grype_build, a.osv_build) AS builds,
  (SELECT name FROM (SELECT t.name, t.moved_at FROM tag_artifacts ta INDEXED BY tag_artifacts_holder
      CROSS JOIN tags t ON t.id = ta.tag_id AND t.org = ta.org
      WHERE ta.org = a.org AND ta.artifact = a.id LIMIT ${TAGS_LOOKED_AT})
    ORDER BY moved_at DESC, name LIMIT 1) AS tag,
  (SELECT l.data FROM artifact_locations l
    WHERE l.org = a.org AND l.artifact = a.id AND l.chunk <= ap.package
    ORDER BY l.chunk DESC LIMIT 1) AS places`

/**
 * Where a match is: the live artifacts that show it, a page of them, by registry and then in the order in which
 * they were first seen. One round trip; two to three rows for each artifact that it passes and three more for
 * each that it returns. Throws NOT_FOUND like `readVulnerability`.
 */
export async function listVulnerabilityImages(
  ctx: Context,
  id: string,
  request: VulnerabilityImageRequest,
): Promise<Page<AffectedImageRow>> {
  const org = ctx.organization.num
  const named = matchNamed(org, id)
  const { after, order, window } = keyset(request, ['ap.registry', 'ap.artifact'])
  const [counted, found] = await ctx.db.batch([
    sql`SELECT ${affectedCount(org, MOST_COUNTED + 1)} AS total FROM (${named}) named
      CROSS JOIN matches m ON m.id = named.match`,
    sql`SELECT ${raw(COLUMNS)} FROM matches m
      CROSS JOIN artifact_packages ap INDEXED BY holders ON ap.org = m.org AND ap.package = m.package
      CROSS JOIN artifacts a ON a.id = ap.artifact
      LEFT JOIN overrides v ON v.org = ap.org AND v.match = m.id AND v.artifact = ap.artifact
      WHERE m.id = (${named}) AND ap.org = ${org} AND ${raw(VISIBLE_SQL)} AND ${after} ORDER BY ${order} ${window}`,
  ])
  const total = (counted!.rows[0] as { total: number } | undefined)?.total
  if (total === undefined) throw notFound('Vulnerability')
  const rows = found!.rows as unknown as Read[]
  const count = total > MOST_COUNTED ? { total, totalIsEstimate: true } : { total }
  const page = pageOf(request, rows, count, ({ registry, artifact }) => [registry, artifact])
  const data: AffectedImageRow[] = []
  for (const row of page.data) data.push(await located(row)) // one after the other: one chunk in memory
  return { ...page, data }
}

async function located({ places, layers, builds, packageId, ...row }: Read): Promise<AffectedImageRow> {
  const [place] = places === null ? [] : ((await decodeLocations(places)).get(packageId) ?? [])
  const [path, layer] = place ?? [null, null]
  const times = JSON.parse(builds) as (number | null)[]
  const digests = layer === null ? [] : (JSON.parse(layers ?? '[]') as { digest: string }[])
  const half = times.length / 2
  return {
    ...row,
    path,
    layer: layer === null ? null : (digests[layer]?.digest ?? null),
    first: times.slice(0, half),
    built: times.slice(half),
  }
}
