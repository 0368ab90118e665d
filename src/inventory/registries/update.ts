import type { Context } from '../../context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { invalid, problem } from '../../http/problems.ts'
import { moveJobs } from '../../scanning/move-jobs.ts'
import { registryAddress } from './address.ts'
import { sealedCredentials } from './connection.ts'
import { nextRun } from './next-run.ts'
import { presentRegistry } from './present.ts'
import { registryInOrganization } from './read.ts'
import type { UpdateRegistry } from './schemas.ts'
import { mintSensorKey, revokeSensorKeys } from './sensor-key.ts'
import type { RegistryRow } from './table.ts'

/**
 * Changes what is given. Another address needs the credentials again, and another host is refused once images are
 * known. Another address, method or new credentials read the catalogue anew. A change to `sensor` gives its key, in
 * this reply and nowhere else; a change to `cloud` revokes it. Jobs that wait go to the runners of the new method and labels. CONFLICT when someone changed it meanwhile.
 */
export async function updateRegistry(ctx: Context, registryId: string, input: UpdateRegistry) {
  const old = await registryInOrganization(ctx, registryId)
  const row = await changedRow(ctx, old, input)
  const view = presentRegistry(row)
  const labelled = row.runnerLabels.join() !== old.runnerLabels.join()
  const becomes = row.scanMethod === old.scanMethod ? null : row.scanMethod
  const sensor = becomes === 'sensor' ? await mintSensorKey(ctx, row) : null
  const sync =
    row.syncState === 'queued' && row.syncStartedAt !== old.syncStartedAt
      ? [promise({ kind: 'registry.sync', org: row.org, registryId: row.id }, ctx.now)]
      : []
  if (sensor) await ctx.directory.batch([...revokeSensorKeys(ctx, row.id), ...sensor.statements])
  await written([
    saveRegistry(row, old),
    EXPECT_ONE_CHANGE,
    auditRow(ctx, row.org, 'registry.updated', `registry:${row.id}`, view),
    ...sync.map((promised) => promised.statement),
    ...(becomes || labelled ? [moveJobs(row.org, row.id, row.scanMethod, row.runnerLabels)] : []),
  ])
  if (becomes === 'cloud') await ctx.directory.batch(revokeSensorKeys(ctx, row.id))
  sendPromised(ctx, sync)
  return { ...view, ...(sensor && { sensorApiKey: sensor.key }) }

  async function written(statements: Statement[]): Promise<void> {
    try {
      await ctx.db.batch(statements)
    } catch (error) {
      if (!(error instanceof LostRace)) throw error
      throw problem('CONFLICT', 'The registry was changed meanwhile: read it and try again')
    }
  }
}

async function changedRow(ctx: Context, old: RegistryRow, input: UpdateRegistry): Promise<RegistryRow> {
  const policy = input.scanning ?? {}
  const scanMethod = policy.method ?? old.scanMethod
  const schedule = policy.schedule ?? old.schedule
  const place = changedPlace(ctx, old, input, scanMethod)
  const moved =
    place.url !== old.url || place.pathPrefix !== old.pathPrefix || place.insecure !== old.insecure
  if (moved && old.credentials !== null && input.credentials === undefined) {
    const message = 'are needed again when the address or insecure changes; null removes them'
    throw invalid({ path: 'credentials', message })
  }
  if (place.host !== old.host && old.imageCount > 0) {
    throw problem(
      'CONFLICT',
      'Images of the present host are known: connect the other host as a registry of its own',
    )
  }
  const resync =
    scanMethod === 'cloud' && (moved || input.credentials !== undefined || scanMethod !== old.scanMethod)
  return {
    ...old,
    ...place,
    ...(input.credentials !== undefined && (await sealedCredentials(ctx, old.id, input.credentials))),
    name: input.name ?? old.name,
    ...{ scanMethod, schedule, scanners: policy.scanners ?? old.scanners },
    runnerLabels: policy.runnerLabels ?? old.runnerLabels,
    includeTags: policy.includeTags === undefined ? old.includeTags : policy.includeTags,
    excludeTags: policy.excludeTags === undefined ? old.excludeTags : policy.excludeTags,
    nextRunAt: schedule === old.schedule ? old.nextRunAt : nextRun(schedule, old.id, ctx.now),
    ...(resync && {
      syncState: 'queued',
      syncCursor: null,
      syncStartedAt: Math.max(ctx.now, (old.syncStartedAt ?? 0) + 1),
    }),
    ...(scanMethod === 'sensor' && { syncState: 'idle', syncCursor: null, syncStartedAt: null }),
    ...((resync || scanMethod !== old.scanMethod) && { status: 'UNTESTED', statusReason: null }),
    updatedAt: Math.max(ctx.now, old.updatedAt + 1),
  }
}

/** The address after the change, judged by the rules of the method after the change. */
function changedPlace(
  ctx: Context,
  old: RegistryRow,
  input: UpdateRegistry,
  scanMethod: RegistryRow['scanMethod'],
): Pick<RegistryRow, 'url' | 'host' | 'pathPrefix' | 'insecure'> {
  const { url, host, pathPrefix, insecure } = old
  if (input.url === undefined && input.insecure === undefined && scanMethod === old.scanMethod) {
    return { url, host, pathPrefix, insecure }
  }
  const wanted = {
    provider: old.provider,
    url: input.url ?? (pathPrefix === '' ? url : `${url}/${pathPrefix}`),
    insecure: input.insecure ?? insecure,
    scanMethod,
  }
  const { address } = registryAddress(ctx.env, wanted)
  return {
    url: address.baseUrl,
    host: address.host,
    pathPrefix: address.pathPrefix,
    insecure: wanted.insecure,
  }
}

/** Guarded by the row that was read: a change in between, a deletion, or a first image under the old host wins. */
const saveRegistry = (row: RegistryRow, old: RegistryRow): Statement => {
  const syncs = row.scanMethod !== old.scanMethod || row.syncStartedAt !== old.syncStartedAt
  return statement(
    `UPDATE registries SET name = ?, url = ?, host = ?, path_prefix = ?, insecure = ?, credentials = ?, dek = ?,
       kek_version = ?, scan_method = ?, scanners = ?, schedule = ?, include_tags = ?, exclude_tags = ?,
       next_run_at = ?, updated_at = ?, runner_labels = ?
       ${syncs ? ', status = ?, status_reason = NULL, sync_state = ?, sync_cursor = NULL, sync_started_at = ?' : ''}
     WHERE org = ? AND id = ? AND updated_at = ? AND status <> 'DELETING' AND (host = ? OR image_count = 0)`,
    ...[row.name, row.url, row.host, row.pathPrefix, row.insecure ? 1 : 0, row.credentials, row.dek],
    ...[row.kekVersion, row.scanMethod, JSON.stringify(row.scanners), row.schedule],
    ...[row.includeTags, row.excludeTags, row.nextRunAt, row.updatedAt, JSON.stringify(row.runnerLabels)],
    ...(syncs ? [row.status, row.syncState, row.syncStartedAt] : []),
    ...[old.org, old.id, old.updatedAt, row.host],
  )
}
