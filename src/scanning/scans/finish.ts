import { EXPECT_ONE_CHANGE, type Param, type Statement, statement } from '../../db/database.ts'
import { showArtifact, showImage } from '../../inventory/artifacts/index.ts'
import type { ScanReason } from '../reasons.ts'
import type { ScanEngine } from './engines.ts'

/** A blob that a scan names, as stored beside it. */
export interface NamedBlob {
  sha256: string
  size: number
  mediaType: string
}

export interface FinishedScan {
  org: number
  jobId: string
  scanId: string
  fence: number
  now: number
  /** When the result arrived: where the scan's time ends. */
  uploadedAt: number
  engines: readonly ScanEngine[]
  blobs: Readonly<Record<string, NamedBlob>>
  resultKey: string
  logs: readonly string[]
}

/** Where a complete scan's result went. */
export interface ScannedArtifact {
  artifact: number
  imageId: string
  tagId: string | null
  digest: string | null
  indexDigest: string | null
  platform: string | null
  partial: boolean
}

const COUNTS = 'critical, high, medium, low, unknown'
const TAGS_OF_SCAN = `SELECT tag_id FROM scans WHERE org = ?1 AND id = ?3
  UNION ALL SELECT tag_id FROM scans INDEXED BY scans_followers WHERE org = ?1 AND leader_id = ?3`

/**
 * The end of a scan with a result: exactly once, because the job leaves `uploaded` in the same batch. Counts,
 * grade and risk are those of the artifact at this moment; scans that follow end alike.
 */
export function completeScan(scan: FinishedScan, to: ScannedArtifact): Statement[] {
  const set = `status = 'COMPLETE', partial = ?8, image_id = ?10, digest = ?11, index_digest = ?12, platform = ?13, (${COUNTS}, compliance, risk) =
      (SELECT ${COUNTS}, grade, risk FROM artifacts WHERE artifacts.org = ?1 AND artifacts.id = ?9)`
  const { artifact, imageId, digest, indexDigest, platform } = to
  const values = [to.partial ? 1 : 0, artifact, imageId, digest, indexDigest, platform]
  return [
    ...takeJob(scan),
    nameArtifact(scan, artifact),
    end(scan, `${set}, tag_id = coalesce(tag_id, ?14), result_key = ?15`, 'id = ?2', [
      ...values,
      to.tagId,
      scan.resultKey,
    ]),
    end(scan, set, 'leader_id = ?2', values),
    shareBlobs(scan),
    showArtifact(scan.org, artifact, TAGS_OF_SCAN, scan.scanId),
    ...showImage(scan.org, imageId, artifact),
  ]
}

/** The end of a scan whose result has nothing to store: what is known of the artifact stays as it is. */
export function failScanWithResult(scan: FinishedScan, why: ScanReason): Statement[] {
  const set = "status = 'FAILED', reason = ?8"
  return [
    ...takeJob(scan),
    end(scan, `${set}, result_key = ?9`, 'id = ?2', [JSON.stringify(why), scan.resultKey]),
    end(scan, set, 'leader_id = ?2', [JSON.stringify(why)]),
    shareBlobs(scan),
  ]
}

const takeJob = ({ org, jobId, fence, now }: FinishedScan): Statement[] => [
  statement(
    `UPDATE jobs SET state = 'done', phase = 'done', progress = 100, updated_at = ?
      WHERE org = ? AND id = ? AND state = 'uploaded' AND fence = ?`,
    now,
    org,
    jobId,
    fence,
  ),
  EXPECT_ONE_CHANGE,
]

/** The artifact's index is written only where the server did not know it before: a job that went out by tag. */
const nameArtifact = ({ org, scanId }: FinishedScan, artifact: number): Statement =>
  statement(
    'UPDATE scans SET artifact = ?3 WHERE org = ?1 AND id = ?2 AND artifact IS NOT ?3 AND deadline_at IS NOT NULL',
    org,
    scanId,
    artifact,
  )

/** `set` may use ?8 and on. A scan that has ended already stays as it is. */
function end(scan: FinishedScan, set: string, where: string, values: readonly Param[]): Statement {
  return statement(
    `UPDATE scans SET ${set}, scanned_at = ?3, deadline_at = NULL, engines = ?4, blobs = ?5, logs = ?6,
            duration_ms = max(0, ?7 - coalesce(started_at, ?7))
      WHERE org = ?1 AND ${where} AND deadline_at IS NOT NULL`,
    scan.org,
    scan.scanId,
    scan.now,
    JSON.stringify(scan.engines),
    JSON.stringify(scan.blobs),
    JSON.stringify(scan.logs),
    scan.uploadedAt,
    ...values,
  )
}

/** Followers name the blobs too: deleting the leader leaves them readable. */
const shareBlobs = ({ org, scanId, now }: FinishedScan): Statement =>
  statement(
    `INSERT INTO scan_blobs (org, scan_id, sha256, size, created_at)
     SELECT b.org, f.id, b.sha256, b.size, ?3 FROM scans f INDEXED BY scans_followers CROSS JOIN scan_blobs b
      WHERE f.org = ?1 AND f.leader_id = ?2 AND b.org = ?1 AND b.scan_id = ?2
     ON CONFLICT DO NOTHING`,
    org,
    scanId,
    now,
  )
