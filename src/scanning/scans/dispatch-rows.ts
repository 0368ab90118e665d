import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import {
  ARTIFACT_SQL,
  artifactKey,
  IMAGE_SQL,
  type ResolvedReference,
  recordReference,
  TAG_SQL,
} from '../../inventory/artifacts/index.ts'
import type { ResolvedImage } from '../../inventory/registries/index.ts'
import { MAX_FOLLOWERS } from '../bounds.ts'
import type { DispatchRow } from './dispatch.ts'
import { resolvedReference } from './resolved-reference.ts'

export interface JobPlan {
  /** "cloud", or the registry's id, with the labels that it asks for. */
  pool: string
  /** Engines asked for, and those a runner must offer to take it at once (bits). */
  wanted: number
  needs: number
}

/** Rows of a scan whose manifest is known: image, tag, artifact, and its job or leader. */
export function dispatchResolved(
  ctx: Context,
  scan: DispatchRow,
  image: ResolvedImage,
  job: JobPlan,
): Statement[] {
  const to = resolvedReference(ctx.organization.num, scan, image)
  return [
    ...recordReference(to, ctx.now),
    pointScan(to, image, scan.scan_id),
    followInFlight(to, scan.scan_id, job.wanted),
    shareProgress(to.org, scan.scan_id),
    raisePriority(to.org, scan),
    ...makeJob(ctx, scan, image.digest, job),
  ]
}

/** Rows of a scan that goes out by tag: the runner reports what it found. */
export const dispatchUnresolved = (ctx: Context, scan: DispatchRow, job: JobPlan): Statement[] =>
  makeJob(ctx, scan, null, job)

const pointScan = (to: ResolvedReference, image: ResolvedImage, scanId: string): Statement =>
  statement(
    `UPDATE scans SET image_id = ${IMAGE_SQL}, tag_id = ${TAG_SQL}, artifact = ${ARTIFACT_SQL},
            digest = ?4, index_digest = ?6, platform = ?7
      WHERE org = ?1 AND id = ?8 AND status = 'PENDING' AND job_id IS NULL AND leader_id IS NULL`,
    to.org,
    to.registryId,
    to.repository,
    artifactKey(to),
    to.tag,
    image.indexDigest,
    to.platform,
    scanId,
  )

/** Joins the oldest job in flight for the same manifest of the same repository with the same or more engines. */
const followInFlight = (to: ResolvedReference, scanId: string, wanted: number): Statement =>
  statement(
    `UPDATE scans SET leader_id =
       (SELECT j.scan_id FROM jobs j INDEXED BY jobs_in_flight CROSS JOIN scans l
         WHERE j.org = ?1 AND j.registry_id = ?3 AND j.digest = ?4 AND j.state IN ('queued', 'leased', 'uploaded')
           AND (j.wanted & ?5) = ?5 AND l.id = j.scan_id AND l.org = ?1 AND l.repository = ?6
           AND l.deadline_at IS NOT NULL AND l.id <> ?2
           AND (SELECT count(*) FROM scans f WHERE f.org = ?1 AND f.leader_id = l.id) < ?7
         ORDER BY j.created_at LIMIT 1)
      WHERE org = ?1 AND id = ?2 AND status = 'PENDING' AND job_id IS NULL AND leader_id IS NULL`,
    to.org,
    scanId,
    to.registryId,
    to.digest,
    wanted,
    to.repository,
    MAX_FOLLOWERS,
  )

/** A scan that joined a running job runs from now on, within the same bound. */
const shareProgress = (org: number, scanId: string): Statement =>
  statement(
    `UPDATE scans SET (status, started_at, deadline_at) =
       (SELECT l.status, max(l.started_at, scans.created_at), l.deadline_at FROM scans l
         WHERE l.org = ?1 AND l.id = scans.leader_id)
      WHERE org = ?1 AND id = ?2 AND leader_id IS NOT NULL AND status = 'PENDING'
        AND EXISTS (SELECT 1 FROM scans l WHERE l.org = ?1 AND l.id = scans.leader_id
                     AND l.status = 'IN_PROGRESS' AND l.deadline_at IS NOT NULL)`,
    org,
    scanId,
  )

/** What a person asked for goes ahead, also when a schedule had asked for the same before. */
const raisePriority = (org: number, scan: DispatchRow): Statement =>
  statement(
    `UPDATE jobs SET priority = ?3 WHERE org = ?1 AND state = 'queued' AND priority > ?3 AND id =
       (SELECT l.job_id FROM scans s CROSS JOIN scans l
         WHERE s.org = ?1 AND s.id = ?2 AND l.org = ?1 AND l.id = s.leader_id)`,
    org,
    scan.scan_id,
    scan.priority,
  )

/**
 * A claimable job for a scan that follows nobody. Its rank is behind the organization's own jobs of the pool
 * and level with the pool's first: so organizations take turns however many jobs each has.
 */
function makeJob(ctx: Context, scan: DispatchRow, digest: string | null, job: JobPlan): Statement[] {
  const org = ctx.organization.num
  return [
    statement(
      `INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, digest, wanted, needs,
                         phase, progress, created_at, updated_at)
       SELECT s.id, s.org, s.id, s.registry_id, ?3, 'queued', s.priority,
              max(coalesce((SELECT min(rank) FROM jobs q INDEXED BY jobs_claim
                             WHERE q.state = 'queued' AND q.pool = ?3 AND q.priority = s.priority), 0),
                  coalesce((SELECT max(rank) + 1 FROM jobs q INDEXED BY jobs_rank
                             WHERE q.state = 'queued' AND q.pool = ?3 AND q.org = ?1 AND q.priority = s.priority), 0)),
              ?4, ?5, ?6, 'queued', 0, ?7, ?7
         FROM scans s WHERE s.org = ?1 AND s.id = ?2 AND s.status = 'PENDING' AND s.leader_id IS NULL
       ON CONFLICT (id) DO NOTHING`,
      org,
      scan.scan_id,
      job.pool,
      digest,
      job.wanted,
      job.needs,
      ctx.now,
    ),
    statement(
      `UPDATE scans SET job_id = id WHERE org = ?1 AND id = ?2 AND job_id IS NULL AND leader_id IS NULL
        AND EXISTS (SELECT 1 FROM jobs WHERE jobs.org = ?1 AND jobs.id = ?2)`,
      org,
      scan.scan_id,
    ),
  ]
}
