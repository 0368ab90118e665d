import type { BaseContext } from '../../context.ts'
import { ciphertextKeyId } from '../../crypto/envelope.ts'
import { createOrganizationKey, rewrapOrganizationKey } from '../../crypto/organization-keys.ts'
import { parseRootKeys, type RootKeyRing } from '../../crypto/root-keys.ts'
import { type Statement, statement } from '../../db/database.ts'
import { auditRow } from '../../evidence/audit-log/index.ts'

const SLICE = 50 // organizations of one call

export interface RenewKeys {
  /** Where the call before ended; 0 at first. */
  after: number
  /** Organizations whose newest key does not open get a new one. What the old one sealed stays sealed. */
  replaceUnreadable: boolean
}

interface KeyRow {
  org: number
  id: string
  version: number
  wrapped: string
}

type Renewed =
  | { statement: Statement; outcome: 'rewrapped' | 'replaced' }
  | { outcome: 'kept' | 'unreadable' }

/**
 * Wraps organization keys anew under the active root key, 50 organizations a call, each by compare-and-set while
 * requests are served. `next` is where to go on, or null. Throws SecretsUnavailable without root keys.
 */
export async function renewOrganizationKeys(ctx: BaseContext, { after, replaceUnreadable }: RenewKeys) {
  const ring = await parseRootKeys(ctx.env.ROOT_KEYS)
  const slice = await ctx.directory.all<KeyRow | { org: number; version: null }>(
    statement(
      `SELECT o.num AS org, o.id, k.version, k.wrapped
         FROM (SELECT num, id FROM organizations WHERE num > ? ORDER BY num LIMIT ${SLICE}) o
         LEFT JOIN organization_keys k ON k.org = o.num AND k.state <> 'destroyed' ORDER BY o.num, k.version DESC`,
      after,
    ),
  )
  const rows = slice.filter((row) => row.version !== null)
  const seen = new Set(slice.map(({ org }) => org))
  const newest = new Map(rows.toReversed().map((row) => [row.org, row]))
  const renewed = await Promise.all(
    rows.map((row) => renew(ring, row, replaceUnreadable && newest.get(row.org) === row, ctx.now)),
  )
  const count = (wanted: Renewed['outcome']) => renewed.filter(({ outcome }) => outcome === wanted).length
  const view = {
    rewrapped: count('rewrapped'),
    replaced: count('replaced'),
    kept: count('kept'),
    unreadable: count('unreadable'),
    next: seen.size < SLICE ? null : Math.max(...seen),
  }
  const writes = renewed.flatMap((one) => ('statement' in one ? [one.statement] : []))
  const auditor = { ...ctx, actor: { kind: 'operator' } as const }
  if (writes.length > 0)
    await ctx.directory.batch([
      ...writes,
      auditRow(auditor, null, 'organization.keys_renewed', `root_key:${ring.active.id}`, view),
    ])
  return view
}

async function renew(ring: RootKeyRing, row: KeyRow, mayReplace: boolean, now: number): Promise<Renewed> {
  const { org, id: organizationId, version, wrapped } = row
  const isActive = ciphertextKeyId(wrapped) === ring.active.id
  const rewrapped = await rewrapOrganizationKey(ring, { organizationId, version, wrapped })
  if (rewrapped.ok && isActive) return { outcome: 'kept' }
  if (rewrapped.ok)
    return {
      outcome: 'rewrapped',
      statement: statement(
        'UPDATE organization_keys SET wrapped = ? WHERE org = ? AND version = ? AND wrapped = ?',
        ...[rewrapped.value, org, version, wrapped],
      ),
    }
  if (!mayReplace) return { outcome: 'unreadable' }
  const next = await createOrganizationKey(ring, organizationId, version + 1)
  return {
    outcome: 'replaced',
    statement: statement(
      `INSERT INTO organization_keys (org, version, wrapped, state, created_at) VALUES (?, ?, ?, 'active', ?)
       ON CONFLICT DO NOTHING`,
      ...[org, next.version, next.wrapped, now],
    ),
  }
}
