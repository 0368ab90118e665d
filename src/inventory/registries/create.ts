import type { Context } from '../../context.ts'
import { DuplicateKey, LostRace, type Statement, statement } from '../../db/database.ts'
import { promise, sendPromised } from '../../db/outbox.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'
import { newId } from '../../ids.ts'
import { registryAddress } from './address.ts'
import { sealedCredentials } from './connection.ts'
import { nextRun } from './next-run.ts'
import { presentRegistry } from './present.ts'
import type { CreateRegistry } from './schemas.ts'
import { mintSensorKey, revokeSensorKeys } from './sensor-key.ts'
import type { RegistryRow } from './table.ts'

/**
 * Connects a registry; its catalogue is read from the queue, except where only a sensor reaches it. The sensor's
 * key is in this reply and nowhere else: it is written first, so that a failure leaves a key that nobody has.
 * Throws VALIDATION_ERROR on `provider` and `url`, SecretsUnavailable where credentials cannot be encrypted.
 */
export async function createRegistry(ctx: Context, input: CreateRegistry) {
  const row = await newRow(ctx, input)
  const view = presentRegistry(row)
  const sensor = row.scanMethod === 'sensor' ? await mintSensorKey(ctx, row) : null
  if (sensor) await ctx.directory.batch(sensor.statements)
  const sync =
    row.syncState === 'queued'
      ? [promise({ kind: 'registry.sync', org: row.org, registryId: row.id }, ctx.now)]
      : []
  try {
    await ctx.db.batch([
      insertRegistry(row),
      auditRow(ctx, row.org, 'registry.added', `registry:${row.id}`, view),
      ...sync.map((promised) => promised.statement),
      ...ctx.rememberReply(row.id, 201),
    ])
  } catch (error) {
    const nothingWritten = error instanceof LostRace || error instanceof DuplicateKey
    if (sensor && nothingWritten) ctx.defer(ctx.directory.batch(revokeSensorKeys(ctx, row.id)))
    throw error
  }
  sendPromised(ctx, sync)
  return { ...view, ...(sensor && { sensorApiKey: sensor.key }) }
}

async function newRow(ctx: Context, input: CreateRegistry): Promise<RegistryRow> {
  const { address } = registryAddress(ctx.env, { ...input, url: input.url })
  const id = newId('registry')
  const synced = input.scanMethod === 'cloud'
  return {
    ...{ id, num: 0, org: ctx.organization.num, name: input.name, provider: input.provider },
    ...{ url: address.baseUrl, host: address.host, pathPrefix: address.pathPrefix, insecure: input.insecure },
    ...(await sealedCredentials(ctx, id, input.credentials ?? null)),
    ...{ scanMethod: input.scanMethod, scanners: input.scanners, schedule: input.schedule },
    ...{ includeTags: input.includeTags ?? null, excludeTags: input.excludeTags ?? null },
    ...{ runnerLabels: input.runnerLabels, status: 'UNTESTED', statusReason: null, imageCount: 0 },
    nextRunAt: nextRun(input.schedule, id, ctx.now),
    syncState: synced ? 'queued' : 'idle',
    ...{ syncCursor: null, syncStartedAt: synced ? ctx.now : null, syncedAt: null },
    ...{ createdAt: ctx.now, updatedAt: ctx.now },
  }
}

/** One row, in a statement that a condition or a conflict clause may follow. */
export const insertRegistry = (row: RegistryRow): Statement =>
  statement(
    `INSERT INTO registries (id, num, org, name, provider, url, host, path_prefix, insecure, credentials, dek,
       kek_version, scan_method, scanners, schedule, include_tags, exclude_tags, status, next_run_at, sync_state,
       sync_started_at, created_at, updated_at, runner_labels)
     SELECT ?, coalesce(max(num), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
       FROM registries`,
    ...[row.id, row.org, row.name, row.provider, row.url, row.host, row.pathPrefix, row.insecure ? 1 : 0],
    ...[row.credentials, row.dek, row.kekVersion, row.scanMethod, JSON.stringify(row.scanners)],
    ...[row.schedule, row.includeTags, row.excludeTags, row.status, row.nextRunAt, row.syncState],
    ...[row.syncStartedAt, row.createdAt, row.updatedAt, JSON.stringify(row.runnerLabels)],
  )
