import { type Statement, statement } from '../../db/database.ts'

/**
 * After a scan of `artifact`: each tag that `tagIds` selects (SQL over `?1`, the organization, and `?3`) and that
 * names the artifact shows it, unless it shows another platform of the same version that is the default one.
 * Nothing is written where it is so already. `+org` keeps the planner from walking the organization's tags.
 */
export const showArtifact = (org: number, artifact: number, tagIds: string, key: string): Statement =>
  statement(
    `UPDATE tags SET artifact = ?2 WHERE +org = ?1 AND id IN (${tagIds}) AND artifact IS NOT ?2
      AND EXISTS (SELECT 1 FROM tag_artifacts l WHERE l.org = ?1 AND l.tag_id = tags.id AND l.artifact = ?2)
      AND NOT EXISTS (SELECT 1 FROM tag_artifacts l CROSS JOIN artifacts a
                       WHERE l.org = ?1 AND l.tag_id = tags.id AND l.artifact = tags.artifact AND a.id = l.artifact
                         AND a.org = ?1 AND a.platform = 'linux/amd64')`,
    org,
    artifact,
    key,
  )

/** The artifact an image shows: its latest tag's, or the one given where the image has no tag. */
const SHOWN = `coalesce((SELECT t.artifact FROM tags t
                          WHERE t.org = ?1 AND t.image_id = images.id AND t.name = images.latest_tag),
                        CASE WHEN images.latest_tag IS NULL THEN ?2 END)`
const COPIED = ['critical', 'high', 'medium', 'low', 'unknown', 'grade', 'risk'] as const
const FROM_SHOWN = `FROM (SELECT 1) LEFT JOIN artifacts a ON a.org = ?1 AND a.id = ${SHOWN}`

/**
 * Copies what an image shows from its artifact: nulls where that was never scanned, no write where it is so. The
 * time of the scan goes by itself: it changes with each scan, and no index holds it.
 */
const copies = (where: string): string[] => [
  `UPDATE images SET (latest_artifact, ${COPIED.join(', ')}) =
     (SELECT a.id, ${COPIED.map((name) => `a.${name}`).join(', ')} ${FROM_SHOWN})
    WHERE ${where} AND EXISTS (SELECT 1 ${FROM_SHOWN} WHERE images.latest_artifact IS NOT a.id
      OR ${COPIED.map((name) => `images.${name} IS NOT a.${name}`).join(' OR ')})`,
  `UPDATE images SET last_scanned_at = (SELECT a.scanned_at ${FROM_SHOWN})
    WHERE ${where} AND last_scanned_at IS NOT (SELECT a.scanned_at ${FROM_SHOWN})`,
]

/** After a scan of `artifact`. */
export const showImage = (org: number, imageId: string, artifact: number): Statement[] =>
  copies('images.org = ?1 AND images.id = ?3').map((sql) => statement(sql, org, artifact, imageId))

/** After a tag of this repository came or moved. */
export const showRepository = (org: number, registryId: string, repository: string): Statement[] =>
  copies('images.org = ?1 AND images.registry_id = ?3 AND images.repository = ?4').map((sql) =>
    statement(sql, org, null, registryId, repository),
  )
