import type { Context } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { reason } from '../reasons.ts'
import { endJob, endScan } from './end.ts'

/**
 * Ends the scans of a registry that have not ended with `registry_removed`, at most `limit` in a call. Returns how
 * many there were: fewer than `limit` means that none is left.
 */
export async function endScansOfRegistry(ctx: Context, registryId: string, limit: number): Promise<number> {
  const org = ctx.organization.num
  const running = await ctx.db.all<{ id: string; job_id: string | null }>(
    statement(
      `SELECT id, job_id FROM scans INDEXED BY scans_running
        WHERE org = ? AND registry_id = ? AND deadline_at IS NOT NULL LIMIT ?`,
      org,
      registryId,
      limit,
    ),
  )
  const ending = { status: 'FAILED', reason: reason('registry_removed') } as const
  await ctx.db.batch(
    running.flatMap(({ id, job_id }) => [
      ...endScan(org, id, ending, ctx.now),
      ...(job_id === null ? [] : [endJob(org, job_id, ctx.now)]),
    ]),
  )
  return running.length
}
