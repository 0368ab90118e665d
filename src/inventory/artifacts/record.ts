import { type Statement, statement } from '../../db/database.ts'
import { newId } from '../../ids.ts'
import type { WorkMessage } from '../../queue.ts'
import { showRepository } from './show.ts'
import { unknownDigestKey } from './unknown-digest.ts'

/** A manifest in a repository, and the tag it was found under. */
export interface ResolvedReference {
  org: number
  registryId: string
  /** `host[:port]` that image names begin with; empty where the repository's name holds it. */
  host: string
  repository: string
  /** null for a reference by digest. */
  tag: string | null
  /** What the tag points at: the index, or the manifest itself; null where nobody knows. */
  versionDigest: string | null
  /** Of the manifest to scan; null where nobody knows, of a tag only. */
  digest: string | null
  platform: string
}

type Repository = Pick<ResolvedReference, 'org' | 'registryId' | 'host' | 'repository'>

/** `artifacts.digest` of the reference: ?4 of `ARTIFACT_SQL`. */
export const artifactKey = ({ digest, tag }: Pick<ResolvedReference, 'digest' | 'tag'>): string =>
  digest ?? unknownDigestKey(tag ?? '')

const PIN_MILLISECONDS = 30 * 24 * 3_600_000 // what was scanned by digest stays current without a tag
const PIN_RESOLUTION = 24 * 3_600_000 // a pin is renewed at most once a day

/** The image's id by its natural key; takes `[org, registryId, repository]` at ?1 to ?3. */
const IMAGE = '(SELECT id FROM images WHERE org = ?1 AND registry_id = ?2 AND repository = ?3)'
const key = (to: Repository) => [to.org, to.registryId, to.repository] as const

/** `SELECT id FROM images …` and the artifact's, for statements that follow in the same batch. */
export const ARTIFACT_SQL = `(SELECT id FROM artifacts WHERE org = ?1 AND image_id = ${IMAGE} AND digest = ?4)`
export const IMAGE_SQL = IMAGE
export const TAG_SQL = `(SELECT id FROM tags WHERE org = ?1 AND image_id = ${IMAGE} AND name = ?5)`

/**
 * Image, tag and artifact of a resolved reference, by natural keys: running it again writes nothing. A tag that
 * moved leaves its old artifacts, and their retirement is promised in the same batch.
 */
export function recordReference(to: ResolvedReference, now: number): Statement[] {
  return [
    recordImage(to, now),
    ...(to.tag === null ? [recordArtifact(to, now)] : recordTagged(to, to.tag, now)),
  ]
}

/** The image of a repository, once. */
export const recordImage = (to: Repository, now: number): Statement =>
  statement(
    `INSERT INTO images (id, org, registry_id, repository, name, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (org, registry_id, repository) DO NOTHING`,
    newId('image'),
    ...key(to),
    to.host === '' ? to.repository : `${to.host}/${to.repository}`,
    now,
  )

function recordArtifact(to: ResolvedReference, now: number): Statement {
  const pinned = to.tag === null ? now + PIN_MILLISECONDS : null
  return statement(
    `INSERT INTO artifacts (org, image_id, image_name, registry_num, digest, platform, pinned_until, seen_at)
     SELECT ?1, i.id, i.name, r.num, ?4, ?5, ?6, ?7 FROM images i CROSS JOIN registries r
      WHERE i.org = ?1 AND i.registry_id = ?2 AND i.repository = ?3 AND r.id = ?2 AND r.org = ?1
     ON CONFLICT (org, image_id, digest) DO UPDATE SET pinned_until = ?6
      WHERE ?6 IS NOT NULL AND coalesce(pinned_until, 0) < ?6 - ${PIN_RESOLUTION}`,
    ...key(to),
    artifactKey(to),
    to.platform,
    pinned,
    now,
  )
}

function recordTagged(to: ResolvedReference, tag: string, now: number): Statement[] {
  const image = key(to)
  return [
    countNewTag(to, tag),
    ...(to.digest === null ? [] : leaveOldArtifacts(to, tag, now)),
    recordArtifact(to, now),
    statement(
      `INSERT INTO tags (id, org, image_id, name, digest, artifact, created_at, moved_at)
       VALUES (?4, ?1, ${IMAGE}, ?5, ?6, NULL, ?7, ?7)
       ON CONFLICT (org, image_id, name) DO UPDATE SET digest = ?6, moved_at = ?7, artifact = NULL
        WHERE digest IS NOT ?6 AND ?6 IS NOT NULL`,
      ...image,
      newId('tag'),
      tag,
      to.versionDigest,
      now,
    ),
    statement(
      `INSERT INTO tag_artifacts (org, tag_id, artifact) VALUES (?1, ${TAG_SQL}, ${ARTIFACT_SQL})
       ON CONFLICT DO NOTHING`,
      ...image,
      artifactKey(to),
      tag,
    ),
    showScannedArtifact(to, tag),
    followLatestTag(to, tag),
    ...showRepository(...image),
  ]
}

const countNewTag = (to: ResolvedReference, tag: string): Statement =>
  statement(
    `UPDATE images SET tag_count = tag_count + 1 WHERE org = ?1 AND registry_id = ?2 AND repository = ?3
      AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.org = ?1 AND t.image_id = images.id AND t.name = ?4)`,
    ...key(to),
    tag,
  )

/** Artifacts that stood for the tag or its index while the manifest's digest was not known: ?5 is what the tag points at. */
const STAND_INS = `SELECT id FROM artifacts INDEXED BY artifacts_digest
  WHERE org = ?1 AND image_id = ${IMAGE} AND digest IN (?6, ?5) AND digest <> ?7`

/** Artifacts that the tag leaves: all where it points elsewhere now, else those that only stood in. */
const LEAVING = `SELECT l.artifact FROM tags t CROSS JOIN tag_artifacts l ON l.org = t.org AND l.tag_id = t.id
  WHERE t.org = ?1 AND t.image_id = ${IMAGE} AND t.name = ?4 AND (t.digest IS NOT ?5 OR l.artifact IN (${STAND_INS}))`

const TAG = `(SELECT id FROM tags WHERE org = ?1 AND image_id = ${IMAGE} AND name = ?4)`

/** The links to artifacts that the tag leaves go, and what lost its last tag is retired. */
function leaveOldArtifacts(to: ResolvedReference, tag: string, now: number): Statement[] {
  const outboxId = newId('outbox')
  const message: Omit<Extract<WorkMessage, { kind: 'artifacts.retire' }>, 'imageId'> = {
    kind: 'artifacts.retire',
    org: to.org,
    outboxId,
  }
  const place = [...key(to), tag, to.versionDigest, unknownDigestKey(tag), to.digest] as const
  return [
    statement(
      `INSERT INTO outbox (id, org, message, created_at, next_attempt_at)
       SELECT ?8, ?1, json_set(?9, '$.imageId', ${IMAGE}), ?10, ?10 WHERE EXISTS (${LEAVING})`,
      ...place,
      outboxId,
      JSON.stringify(message),
      now,
    ),
    statement(
      `UPDATE tags SET artifact = NULL WHERE +org = ?1 AND id = ${TAG} AND artifact IN (${STAND_INS})`,
      ...place,
    ),
    statement(
      `DELETE FROM tag_artifacts WHERE org = ?1 AND tag_id = ${TAG} AND artifact IN (${LEAVING})`,
      ...place,
    ),
  ]
}

/** A tag that came to an artifact scanned before shows it at once. */
const showScannedArtifact = (to: ResolvedReference, tag: string): Statement =>
  statement(
    `UPDATE tags SET artifact = ${ARTIFACT_SQL} WHERE org = ?1 AND id = ${TAG_SQL} AND artifact IS NULL
      AND EXISTS (SELECT 1 FROM artifacts WHERE org = ?1 AND id = ${ARTIFACT_SQL} AND scanned_at IS NOT NULL AND live = 1)`,
    ...key(to),
    artifactKey(to),
    tag,
  )

const TAG_DIGEST = '(SELECT digest FROM tags t WHERE t.org = ?1 AND t.image_id = images.id AND t.name = ?4)'

/** The latest tag is the one called so, else the one that moved last. */
const followLatestTag = (to: ResolvedReference, tag: string): Statement =>
  statement(
    `UPDATE images SET latest_tag = ?4, latest_digest = ${TAG_DIGEST}
      WHERE org = ?1 AND registry_id = ?2 AND repository = ?3
        AND (latest_tag IS NOT ?4 OR latest_digest IS NOT ${TAG_DIGEST})
        AND (?4 = 'latest' OR latest_tag IS NULL OR latest_tag = ?4 OR (latest_tag <> 'latest' AND
             (SELECT moved_at FROM tags t WHERE t.org = ?1 AND t.image_id = images.id AND t.name = ?4) >=
             (SELECT moved_at FROM tags t WHERE t.org = ?1 AND t.image_id = images.id AND t.name = latest_tag)))`,
    ...key(to),
    tag,
  )
