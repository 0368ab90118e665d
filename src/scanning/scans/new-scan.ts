import { actorLabel, type Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { type Promised, promise } from '../../db/outbox.ts'
import { newId } from '../../ids.ts'
import { UNCLAIMED_LIMIT } from '../bounds.ts'

/** Why a scan was asked for; what a person asked for goes ahead of what a schedule asked for. */
const PRIORITY = { manual: 0, push: 1, sync: 1, upload: 1, schedule: 2 } as const
export type Trigger = keyof typeof PRIORITY

/** A scan to be made: everything is known but the digest. */
export interface NewScan {
  registryId: string
  /** The canonical reference. */
  image: string
  repository: string
  tag: string | null
  platform: string | null
  scanners: readonly string[]
  trigger: Trigger
}

/** The rows of one PENDING scan and the message that dispatches it, for one batch. */
export function newScan(
  ctx: Context,
  input: NewScan,
): { scanId: string; statements: Statement[]; promised: Promised } {
  const scanId = newId('scan')
  const promised = promise({ kind: 'scan.dispatch', org: ctx.organization.num, scanId }, ctx.now)
  const insert = statement(
    `INSERT INTO scans (id, org, registry_id, image, repository, tag, platform, trigger, priority,
                        scanners, status, requested_by, created_at, deadline_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'PENDING', ?, ?, ?)`,
    scanId,
    ctx.organization.num,
    input.registryId,
    input.image,
    input.repository,
    input.tag,
    input.platform,
    input.trigger,
    PRIORITY[input.trigger],
    JSON.stringify(input.scanners),
    actorLabel(ctx.actor),
    ctx.now,
    ctx.now + UNCLAIMED_LIMIT,
  )
  return { scanId, statements: [insert, promised.statement], promised }
}
