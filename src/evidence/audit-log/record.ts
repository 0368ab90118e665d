import { actorLabel, type Context } from '../../context.ts'
import type { Statement } from '../../db/database.ts'
import { raw, sql } from '../../db/sql.ts'
import { newId } from '../../ids.ts'

/** What can be audited. Names are the documented catalogue's; operator actions are ours. */
export type AuditAction =
  | 'apikey.created'
  | 'apikey.revoked'
  | 'registry.added'
  | 'registry.updated'
  | 'registry.removed'
  | 'registry.synced'
  | 'registry.scans_scheduled'
  | 'scan.triggered'
  | 'scan.uploaded'
  | 'scan.failed'
  | 'scan.cancelled'
  | 'scan.deleted'
  | 'sensor.disabled'
  | 'sensor.enabled'
  | 'sensor.removed'
  | 'organization.created'
  | 'organization.keys_renewed'
  | 'runner.created'
  | 'dead_letters.replayed'

export type Auditor = Pick<Context, 'actor' | 'ip' | 'now'>

/**
 * The audit row of one write, for the batch that makes it. `view` is the presented resource, never a raw row,
 * so that no secret can reach the log. `target` is "type:id", or SQL that makes it; with `when` the row is written only
 * where that condition holds at its place in the batch. Directory and shards have the same table.
 */
export const auditRow = (
  ctx: Auditor,
  organization: number | null,
  action: AuditAction,
  target: `${string}:${string}` | Statement,
  view?: unknown,
  when: Statement = raw('1'),
): Statement =>
  sql`INSERT INTO audit_log (id, org, actor, action, target, ip, details, created_at)
    SELECT ${newId('audit')}, ${organization}, ${actorLabel(ctx.actor)}, ${action}, ${target}, ${ctx.ip},
           ${view === undefined ? null : JSON.stringify(view)}, ${ctx.now} WHERE ${when}`
