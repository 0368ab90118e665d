import { type Actor, actorLabel } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { IMAGE_SQL } from '../../inventory/artifacts/index.ts'
import { RUNNING_LIMIT } from '../bounds.ts'

export interface StandAloneScan {
  org: number
  scanId: string
  registryId: string
  repository: string
  /** The canonical reference. */
  image: string
  tag: string | null
  /** Where the upload was stored. */
  key: string
  credentialId: string
  actor: Actor
  now: number
}

/**
 * The scan of an upload without a job, and a job that has its result already. The first inserts nothing where the
 * registry is being removed. The scan asks for no engines: those that the result reports are its own.
 */
export const standAloneRows = (scan: StandAloneScan): [Statement, Statement] => [
  statement(
    `INSERT INTO scans (id, org, registry_id, image, image_id, repository, tag, trigger, priority, scanners, status,
                        job_id, requested_by, created_at, started_at, deadline_at)
     SELECT ?4, ?1, ?2, ?5, ${IMAGE_SQL}, ?3, ?6, 'upload', 1, '[]', 'IN_PROGRESS', ?4, ?7, ?8, ?8, ?9
      WHERE EXISTS (SELECT 1 FROM registries WHERE org = ?1 AND id = ?2 AND status <> 'DELETING')`,
    scan.org,
    scan.registryId,
    scan.repository,
    scan.scanId,
    scan.image,
    scan.tag,
    actorLabel(scan.actor),
    scan.now,
    scan.now + RUNNING_LIMIT,
  ),
  statement(
    `INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, wanted, needs, fence, leases,
                       credential_id, phase, progress, result_key, uploaded_at, created_at, updated_at)
     VALUES (?2, ?1, ?2, ?3, ?3, 'uploaded', 1, 0, 0, 0, 1, 1, ?4, 'ingesting', 90, ?5, ?6, ?6, ?6)
     ON CONFLICT (id) DO UPDATE SET state = 'uploaded', phase = 'ingesting', progress = 90, registry_id = ?3, pool = ?3,
       credential_id = ?4, result_key = ?5, uploaded_at = ?6, updated_at = ?6, cancel = 0 WHERE org = ?1`,
    scan.org,
    scan.scanId,
    scan.registryId,
    scan.credentialId,
    scan.key,
    scan.now,
  ),
]
