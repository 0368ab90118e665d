import { env } from 'cloudflare:workers'
import { putUpload, resultKey } from '../../../src/db/blobs.ts'
import { type Meter, statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { jobWireId } from '../../../src/ids.ts'
import { ingestScan } from '../../../src/scanning/scans/ingest.ts'
import { jobIdOf, MINUTE, T0, type World } from '../world.ts'

/** The wire id of a scan's job. */
export const wireIdOf = async (world: World, scanId: string): Promise<string> =>
  jobWireId(world.organization.shard, world.organization.num, await jobIdOf(world, scanId))

/** Hands a document in as the result of a scan's job, whoever claimed it, and has it ingested. Returns what that cost. */
export async function handIn(
  world: World,
  scanId: string,
  document: unknown,
  at = T0 + MINUTE,
): Promise<Meter> {
  const jobId = await jobIdOf(world, scanId)
  const key = resultKey(world.organization.num, jobId, 1, `at-${at}`)
  await putUpload(
    env as unknown as Env,
    key,
    new TextEncoder().encode(JSON.stringify(document)).buffer as ArrayBuffer,
  )
  const ctx = world.at(at)
  await ctx.db.run(
    statement(
      "UPDATE jobs SET state = 'uploaded', fence = 1, result_key = ?, uploaded_at = ? WHERE org = ? AND id = ?",
      key,
      at,
      world.organization.num,
      jobId,
    ),
  )
  await ingestScan(ctx, jobId)
  return ctx.directory.meter
}
