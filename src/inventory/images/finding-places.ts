import { sql } from '../../db/sql.ts'
import type { FindingPlace } from '../../risk/findings/index.ts'

/** An image's findings: those of the artifact that its latest tag shows. */
export const placeOfImage = (org: number, imageId: string): FindingPlace => ({
  resource: 'Image',
  select: sql`SELECT i.latest_artifact AS artifact, i.id AS imageId, i.name AS imageName, i.latest_tag AS tag
    FROM images i WHERE i.id = ${imageId} AND i.org = ${org}`,
})

/** A tag's findings: those of the artifact that it shows. */
export const placeOfTag = (org: number, imageId: string, tagId: string): FindingPlace => ({
  resource: 'Tag',
  select: sql`SELECT t.artifact, i.id AS imageId, i.name AS imageName, t.name AS tag
    FROM tags t CROSS JOIN images i ON i.id = t.image_id
    WHERE t.id = ${tagId} AND t.org = ${org} AND t.image_id = ${imageId} AND i.org = ${org}`,
})
