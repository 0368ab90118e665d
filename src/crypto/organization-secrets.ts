import type { BaseContext, Organization } from '../context.ts'
import { statement } from '../db/database.ts'
import type { SecretKey } from './envelope.ts'
import { createKeyCache } from './key-cache.ts'
import { openOrganizationKey } from './organization-keys.ts'
import { parseRootKeys, SecretsUnavailable } from './root-keys.ts'
import { openRowSecret, type RowSecret, sealRowSecret } from './row-secret.ts'

/** Unwrapped organization keys of this isolate. */
const cache = createKeyCache()

/** A cell of a shard that holds a secret. */
export interface SecretCell {
  table: string
  row: string
  column: string
}

export interface StoredSecret extends RowSecret {
  kekVersion: number
}

/** Encrypts `text` for one cell under the organization's newest key. Throws SecretsUnavailable. */
export async function sealSecret(
  ctx: BaseContext,
  organization: Organization,
  cell: SecretCell,
  text: string,
): Promise<StoredSecret> {
  const { version, key } = await organizationKey(ctx, organization, null)
  const sealed = await sealRowSecret(key, text, { organizationId: organization.id, ...cell })
  return { ...sealed, kekVersion: version }
}

/** The text of one cell, or null when it does not open there. Throws SecretsUnavailable without root keys. */
export async function openSecret(
  ctx: BaseContext,
  organization: Organization,
  cell: SecretCell,
  stored: StoredSecret,
): Promise<string | null> {
  const { key } = await organizationKey(ctx, organization, stored.kekVersion)
  const opened = await openRowSecret(key, stored, { organizationId: organization.id, ...cell })
  return opened.ok ? opened.value : null
}

/** One round trip to the directory; unwrapping is cached for minutes. `version` null asks for the newest. */
async function organizationKey(
  ctx: BaseContext,
  organization: Organization,
  version: number | null,
): Promise<{ version: number; key: SecretKey }> {
  const ring = await parseRootKeys(ctx.env.ROOT_KEYS)
  const row = await ctx.directory.first<{ version: number; wrapped: string }>(
    statement(
      `SELECT version, wrapped FROM organization_keys
        WHERE org = ?1 AND (version = ?2 OR (?2 IS NULL AND state = 'active')) AND state <> 'destroyed'
        ORDER BY version DESC LIMIT 1`,
      organization.num,
      version,
    ),
  )
  if (!row) throw new SecretsUnavailable('The organization has no usable key.')
  const stored = { organizationId: organization.id, version: row.version, wrapped: row.wrapped }
  const opened = await openOrganizationKey(ring, stored, cache, ctx.now)
  if (!opened.ok) throw new SecretsUnavailable("The organization's key does not open under ROOT_KEYS.")
  return { version: row.version, key: opened.value }
}
