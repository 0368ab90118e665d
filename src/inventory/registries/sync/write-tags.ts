import { type Statement, statement } from '../../../db/database.ts'
import { jsonChunks } from '../../../db/json-chunks.ts'
import { type Promised, promise } from '../../../db/outbox.ts'
import { showRepository } from '../../artifacts/index.ts'
import type { ImageChanges } from './read-tags.ts'

/**
 * The writes of a slice, for one batch: tags added, moved and removed, and what their images show. Each row
 * changes only while it is as it was read, so a dispatch in between wins. Artifacts that lost a tag are looked at
 * by the retiring job, which is promised here. Images that did not change cost nothing.
 */
export function writeTags(
  { org, id: registryId }: { org: number; id: string },
  all: readonly ImageChanges[],
  now: number,
): { statements: Statement[]; promised: Promised[] } {
  const changed = all.filter((one) => one.empty || tagsDiffer(one))
  const added = changed.flatMap((one) => one.added)
  const moved = changed.flatMap((one) => one.moved)
  const left = [...moved, ...changed.flatMap((one) => one.removed)]
  const adopting = [...added, ...moved].filter(({ sibling }) => sibling !== null)
  const promised = changed
    .filter((one) => one.moved.length + one.removed.length > 0)
    .map(({ image }) => promise({ kind: 'artifacts.retire', org, imageId: image.id }, now))
  const shown = changed.filter(tagsDiffer)
  const images = shown.map(({ image, latestTag }) => ({ id: image.id, latestTag }))
  const empty = changed.filter((one) => one.empty).map(({ image }) => image.id)
  return {
    promised,
    statements: [
      ...chunks(left).map((json) => statement(LEAVE_ARTIFACTS, org, json)),
      ...chunks(changed.flatMap((one) => one.removed)).map((json) => statement(REMOVE, org, json)),
      ...chunks(moved).map((json) => statement(MOVE, org, json, now)),
      ...chunks(added).map((json) => statement(ADD, org, json, now)),
      ...chunks(adopting).flatMap((json) => [
        statement(ADOPT, org, json),
        statement(SHOW_ADOPTED, org, json),
      ]),
      ...chunks(images).map((json) => statement(POINT_IMAGES, org, json)),
      ...shown.flatMap(({ image }) => showRepository(org, registryId, image.repository)),
      ...chunks(empty).map((json) => statement(REMOVE_IMAGES, org, json)),
      ...promised.map((one) => one.statement),
    ],
  }
}

const tagsDiffer = ({ image, added, moved, removed, latestTag }: ImageChanges): boolean =>
  added.length + moved.length + removed.length > 0 || latestTag !== image.latestTag

const chunks = (rows: readonly unknown[]): string[] => jsonChunks(rows).map(({ json }) => json)

// `+org` keeps SQLite on the rows' ids: by the organization's index it would read all of its tags.

/** Rows of ?2 as they were read: `id` and `old`, the digest. */
const AS_READ = `SELECT t.id FROM json_each(?2) j CROSS JOIN tags t
  WHERE t.id = j.value ->> '$.id' AND t.org = ?1 AND t.digest IS j.value ->> '$.old'`

const LEAVE_ARTIFACTS = `DELETE FROM tag_artifacts WHERE org = ?1 AND tag_id IN (${AS_READ})`

const REMOVE = `DELETE FROM tags WHERE +org = ?1 AND id IN (${AS_READ})`

const MOVE = `UPDATE tags SET digest = j.value ->> '$.digest', artifact = NULL, moved_at = ?3
  FROM json_each(?2) j
  WHERE tags.id = j.value ->> '$.id' AND +tags.org = ?1 AND tags.digest IS j.value ->> '$.old'`

const ADD = `INSERT INTO tags (id, org, image_id, name, digest, created_at, moved_at)
  SELECT j.value ->> '$.id', ?1, i.id, j.value ->> '$.name', j.value ->> '$.digest', ?3, ?3
    FROM json_each(?2) j CROSS JOIN images i WHERE i.id = j.value ->> '$.image' AND i.org = ?1
  ON CONFLICT (org, image_id, name) DO NOTHING`

/** A tag that came to a version scanned under another name shows it at once. */
const ADOPT = `INSERT INTO tag_artifacts (org, tag_id, artifact)
  SELECT ?1, t.id, l.artifact FROM json_each(?2) j
    CROSS JOIN tags t ON t.id = j.value ->> '$.id' AND t.org = ?1 AND t.digest = j.value ->> '$.digest'
    CROSS JOIN tag_artifacts l ON l.org = ?1 AND l.tag_id = j.value ->> '$.sibling'
  WHERE true ON CONFLICT DO NOTHING`

const SHOW_ADOPTED = `UPDATE tags SET artifact = s.artifact
  FROM json_each(?2) j CROSS JOIN tags s ON s.id = j.value ->> '$.sibling' AND s.org = ?1
  WHERE tags.id = j.value ->> '$.id' AND +tags.org = ?1 AND tags.digest = s.digest AND s.artifact IS NOT NULL`

const POINT_IMAGES = `UPDATE images SET
    tag_count = (SELECT count(*) FROM tags t INDEXED BY tags_name WHERE t.org = ?1 AND t.image_id = images.id),
    latest_tag = j.value ->> '$.latestTag',
    latest_digest = (SELECT t.digest FROM tags t INDEXED BY tags_name
      WHERE t.org = ?1 AND t.image_id = images.id AND t.name = j.value ->> '$.latestTag')
  FROM json_each(?2) j WHERE images.id = j.value ->> '$.id' AND +images.org = ?1`

/** An image that was scanned stays, without tags. */
const REMOVE_IMAGES = `DELETE FROM images WHERE +org = ?1 AND id IN (SELECT value FROM json_each(?2))
  AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.org = ?1 AND t.image_id = images.id)
  AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.org = ?1 AND a.image_id = images.id)`
