import type { Statement } from '../db/database.ts'
import { sql } from '../db/sql.ts'

/**
 * Joins the batch that changes who scans a registry: its jobs without a result go to the pool of the new method, so
 * that no runner of the old one gets them any more. One that is being run stays with its runner until it loses it.
 */
export const moveJobs = (org: number, registryId: string, method: 'cloud' | 'sensor'): Statement =>
  sql`UPDATE jobs INDEXED BY jobs_in_flight SET pool = ${method === 'cloud' ? 'cloud' : registryId}
    WHERE org = ${org} AND registry_id = ${registryId} AND state IN ('queued', 'leased', 'uploaded')
      AND state <> 'uploaded'`
