import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import {
  ARTIFACT_SQL,
  artifactKey,
  IMAGE_SQL,
  recordReference,
  TAG_SQL,
  UNKNOWN_PLATFORM,
} from '../../inventory/artifacts/index.ts'
import type { ScannedArtifact } from './finish.ts'
import type { UploadedJob } from './ingest.ts'
import { resolvedReference } from './resolved-reference.ts'
import type { FoundImage } from './uploaded-result.ts'

export type ResultPlace = Omit<ScannedArtifact, 'partial'>

/**
 * The artifact that a result is about. The server knows it where it resolved the image; otherwise the runner's
 * word makes the image's, tag's and artifact's rows. Null when the registry is gone.
 */
export async function placeOfResult(
  ctx: Context,
  job: UploadedJob,
  { digest, indexDigest, platform }: FoundImage,
): Promise<ResultPlace | null> {
  if (job.artifact !== null && job.image_id !== null) {
    const { artifact, image_id: imageId, tag_id: tagId } = job
    return { artifact, imageId, tagId, digest, indexDigest, platform }
  }
  const registry = await ctx.db.first<{ host: string }>(
    statement(
      "SELECT host FROM registries WHERE org = ? AND id = ? AND status <> 'DELETING'",
      ctx.organization.num,
      job.registry_id,
    ),
  )
  if (!registry) return null
  const asked = { ...job, host: registry.host }
  const to = resolvedReference(ctx.organization.num, asked, {
    indexDigest,
    digest,
    platform: platform ?? UNKNOWN_PLATFORM,
  })
  const results = await ctx.db.batch([
    ...recordReference(to, ctx.now),
    statement(
      `SELECT ${ARTIFACT_SQL} AS artifact, ${IMAGE_SQL} AS imageId, ${TAG_SQL} AS tagId`,
      to.org,
      to.registryId,
      to.repository,
      artifactKey(to),
      to.tag,
    ),
  ])
  const row = results.at(-1)!.rows[0] as { artifact: number | null; imageId: string; tagId: string | null }
  return row.artifact === null ? null : { ...row, artifact: row.artifact, digest, indexDigest, platform }
}
