import type { Statement } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import { poolWithLabels } from './labelled-pools.ts'

/**
 * Joins the batch that changes who scans a registry: its jobs without a result go to the pool of the new method and
 * labels, so that no other runner gets them any more. One that is being run stays with its runner until it loses it.
 */
export const moveJobs = (
  org: number,
  registryId: string,
  method: 'cloud' | 'sensor',
  labels: readonly string[],
): Statement =>
  sql`UPDATE jobs INDEXED BY jobs_in_flight SET pool = ${poolWithLabels(method === 'cloud' ? 'cloud' : registryId, labels)}
    WHERE org = ${org} AND registry_id = ${registryId} AND state IN ('queued', 'leased', 'uploaded')
      AND state <> 'uploaded'`
