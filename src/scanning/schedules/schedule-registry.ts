import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { tagPasses } from '../../inventory/registries/index.ts'
import { newScan } from '../scans/index.ts'

const SLICE = 50 // tags looked at in one message

interface RegistryRow {
  id: string
  host: string
  scanners: string
  include_tags: string | null
  exclude_tags: string | null
}

interface TagRow {
  repository: string
  tag: string
  inFlight: number
}

/**
 * Asks for a scan of each tag of a registry that its filters admit and that has none in flight, in slices: the
 * rest goes on in the next message. Running a slice again asks for nothing twice. Returns the scans asked for.
 */
export async function scheduleRegistryScans(
  ctx: Context,
  registryId: string,
  after: { repository: string; tag: string } | null,
): Promise<number> {
  const org = ctx.organization.num
  const registry = await ctx.db.first<RegistryRow>(
    statement(
      `SELECT id, host, scanners, include_tags, exclude_tags FROM registries
        WHERE org = ? AND id = ? AND status <> 'DELETING' AND host <> ''`, // nothing is pulled of uploads
      org,
      registryId,
    ),
  )
  if (!registry) return 0
  const tags = await nextTags(ctx, registry, after)
  const scans = tags
    .filter(({ inFlight }) => inFlight === 0)
    .filter(({ tag }) => tagPasses(tag, registry.include_tags, registry.exclude_tags))
    .map((place) => scheduledScan(ctx, registry, place))
  const last = tags.at(-1)
  const place = last && tags.length === SLICE ? { repository: last.repository, tag: last.tag } : null
  const rest = place && promise({ kind: 'registry.schedule', org, registryId, after: place }, ctx.now)
  const view = { registryId, scans: scans.map(({ scanId }) => scanId) }
  await ctx.db.batch([
    ...scans.flatMap((scan) => scan.statements),
    ...(rest ? [rest.statement] : []),
    ...(scans.length > 0 ? [auditRow(ctx, org, 'scan.triggered', `registry:${registryId}`, view)] : []),
  ])
  sendPromised(ctx, [...scans.map((scan) => scan.promised), ...(rest ? [rest] : [])])
  return scans.length
}

const scheduledScan = (ctx: Context, registry: RegistryRow, { repository, tag }: TagRow) =>
  newScan(ctx, {
    registryId: registry.id,
    image: `${registry.host}/${repository}:${tag}`,
    repository,
    tag,
    platform: null,
    scanners: JSON.parse(registry.scanners) as string[],
    trigger: 'schedule',
  })

/** The next tags by repository and name, each with whether a scan of it has not ended. */
const nextTags = (
  ctx: Context,
  registry: RegistryRow,
  after: { repository: string; tag: string } | null,
): Promise<TagRow[]> =>
  ctx.db.all<TagRow>(
    statement(
      `SELECT i.repository, t.name AS tag, EXISTS
           (SELECT 1 FROM scans s INDEXED BY scans_running WHERE s.org = ?1 AND s.registry_id = ?2
             AND s.image = ?6 || '/' || i.repository || ':' || t.name AND s.deadline_at IS NOT NULL) AS inFlight
         FROM images i INDEXED BY images_repository CROSS JOIN tags t INDEXED BY tags_name
        WHERE i.org = ?1 AND i.registry_id = ?2 AND i.repository >= ?3 AND t.org = ?1 AND t.image_id = i.id
          AND (i.repository > ?3 OR t.name > ?4)
        ORDER BY i.repository, t.name LIMIT ?5`,
      ctx.organization.num,
      registry.id,
      after?.repository ?? '',
      after?.tag ?? '',
      SLICE,
      registry.host,
    ),
  )
