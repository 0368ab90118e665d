import { newApiKey, newRunnerKey, sha256Hex } from '../../crypto/tokens.ts'
import { type Statement, statement } from '../../db/database.ts'
import { newId } from '../../ids.ts'
import type { CredentialRow } from './table.ts'

const PREFIX_LENGTH = 10 // the documented visible part

export type NewCredential = Pick<
  CredentialRow,
  'kind' | 'name' | 'role' | 'registryId' | 'createdBy' | 'createdAt' | 'expiresAt'
>

/**
 * A new credential: the key, shown once, and its row without the organization. `insert(org)` is the statement;
 * `org` may be SQL of a row that the same batch creates.
 */
export async function mintCredential(input: NewCredential): Promise<{ key: string; row: CredentialRow }> {
  const key = input.kind === 'runner_key' ? newRunnerKey() : newApiKey()
  const row: CredentialRow = {
    ...input,
    hash: await sha256Hex(key),
    id: newId('apiKey'),
    org: null,
    prefix: key.slice(0, PREFIX_LENGTH),
    revokedAt: null,
    lastUsedAt: null,
  }
  return { key, row }
}

/** The insert of a minted credential; the organization is named by its public id, or is null for cloud runners. */
export const insertCredential = (row: CredentialRow, organizationId: string | null): Statement =>
  statement(
    `INSERT INTO credentials (hash, id, kind, org, name, prefix, role, registry_id, created_by, created_at, expires_at)
     VALUES (?, ?, ?, (SELECT num FROM organizations WHERE id = ?), ?, ?, ?, ?, ?, ?, ?)`,
    row.hash,
    row.id,
    row.kind,
    organizationId,
    row.name,
    row.prefix,
    row.role,
    row.registryId,
    row.createdBy,
    row.createdAt,
    row.expiresAt,
  )
