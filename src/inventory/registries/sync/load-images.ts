import type { Context } from '../../../context.ts'
import { statement } from '../../../db/database.ts'
import type { KnownImage } from './read-tags.ts'
import type { KnownTag } from './tag-changes.ts'

const IMAGES = 40 // of one slice
const TAGS = 20_000 // rows of one slice, about 4 MB

type TagRow = KnownTag & { imageId: string }

/** The next images of a registry after a repository, with the tags that are known. One round trip. */
export async function loadImages(ctx: Context, registryId: string, after: string): Promise<KnownImage[]> {
  const some = `SELECT id, repository, latest_tag FROM images INDEXED BY images_repository
    WHERE org = ?1 AND registry_id = ?2 AND repository > ?3 ORDER BY repository LIMIT ?4`
  const params = [ctx.organization.num, registryId, after, IMAGES] as const
  const [images, tags] = await ctx.db.batch([
    statement(`SELECT id, repository, latest_tag AS latestTag FROM (${some})`, ...params),
    statement(
      `SELECT t.image_id AS imageId, t.id, t.name, t.digest, t.artifact, t.moved_at AS movedAt
         FROM (${some}) i CROSS JOIN tags t INDEXED BY tags_name ON t.org = ?1 AND t.image_id = i.id
        ORDER BY i.repository LIMIT ?5`,
      ...params,
      TAGS,
    ),
  ])
  const rows = tags!.rows as unknown as TagRow[]
  const known = images!.rows as unknown as Omit<KnownImage, 'tags'>[]
  const whole = rows.length < TAGS ? known : wholeImages(known, rows)
  const byImage = Map.groupBy(rows, ({ imageId }) => imageId)
  return whole.map((image) => ({ ...image, tags: byImage.get(image.id) ?? [] }))
}

/** Without the image that the limit cut through and those behind it, but always the first. */
function wholeImages(images: Omit<KnownImage, 'tags'>[], rows: TagRow[]): Omit<KnownImage, 'tags'>[] {
  const cut = images.findIndex(({ id }) => id === rows.at(-1)!.imageId)
  return images.slice(0, Math.max(1, cut))
}
