import type { Organization } from '../context.ts'
import { sha256Hex } from '../crypto/tokens.ts'
import { type Database, statement } from '../db/database.ts'
import { problem } from '../http/problems.ts'
import type { Role } from './roles.ts'

/** A machine credential as the directory knows it. Only `runner_key` has no organization. */
export interface Credential {
  id: string
  kind: 'api_key' | 'sensor_key' | 'runner_key'
  role: Role
  registryId: string | null
  organization: Organization | null
  lastUsedAt: number | null
  /** The runner process that the call names, when this key registered it. */
  agent: RegisteredAgent | null
}

/** What a runner process said when it registered. Engines and capabilities are JSON. */
export interface RegisteredAgent {
  id: string
  publicKey: string | null
  scannerVersions: string
  capabilities: string
  lastHeartbeatAt: number
}

const KEY_FORM = /^hg_(?:ak|rk)_[0-9a-f]{48}$/
const LAST_USED_RESOLUTION = 3_600_000 // one write an hour for each key, however often it is used

interface Row {
  id: string
  kind: Credential['kind']
  role: Role
  registry_id: string | null
  last_used_at: number | null
  num: number | null
  org_id: string | null
  slug: string | null
  shard: string | null
  agent_id: string | null
  public_key: string | null
  scanner_versions: string | null
  capabilities: string | null
  last_heartbeat_at: number | null
}

/**
 * The key that a request presents, from `X-API-Key` or `Authorization: Bearer`. Two different keys, none, or
 * one of another form is UNAUTHORIZED, without touching the database.
 */
export function presentedKey(headers: Headers): string {
  const direct = headers.get('X-API-Key')?.trim()
  const authorization = headers.get('Authorization')
  const bearer = authorization === null ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  if (authorization !== null && !bearer) throw problem('UNAUTHORIZED')
  if (direct && bearer && direct !== bearer)
    throw problem('UNAUTHORIZED', 'Two different credentials were sent')
  const key = direct || bearer
  if (!key || !KEY_FORM.test(key)) throw problem('UNAUTHORIZED')
  return key
}

/**
 * Resolves a key, and the agent that a runner's call names, in one round trip; unknown, expired and revoked keys
 * are the same plain UNAUTHORIZED.
 */
export async function findCredential(
  directory: Database,
  key: string,
  now: number,
  agentId: string | null = null,
): Promise<Credential> {
  const row = await directory.first<Row>(
    statement(
      `SELECT c.id, c.kind, c.role, c.registry_id, c.last_used_at, o.num, o.id AS org_id, o.slug, o.shard,
              a.id AS agent_id, a.public_key, a.scanner_versions, a.capabilities, a.last_heartbeat_at
         FROM credentials c LEFT JOIN organizations o ON o.num = c.org
         LEFT JOIN agents a ON a.id = ?3 AND a.credential_id = c.id
        WHERE c.hash = ?1 AND c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > ?2)`,
      await sha256Hex(key),
      now,
      agentId,
    ),
  )
  if (!row) throw problem('UNAUTHORIZED')
  return {
    id: row.id,
    kind: row.kind,
    role: row.role,
    registryId: row.registry_id,
    lastUsedAt: row.last_used_at,
    organization:
      row.num === null ? null : { num: row.num, id: row.org_id!, slug: row.slug!, shard: row.shard! },
    agent: agentOf(row),
  }
}

const agentOf = (row: Row): RegisteredAgent | null =>
  row.agent_id === null
    ? null
    : {
        id: row.agent_id,
        publicKey: row.public_key,
        scannerVersions: row.scanner_versions!,
        capabilities: row.capabilities!,
        lastHeartbeatAt: row.last_heartbeat_at!,
      }

/** The write that remembers a use, or null while the last one is recent enough. */
export function rememberUse(credential: Credential, now: number) {
  if (credential.lastUsedAt !== null && now - credential.lastUsedAt < LAST_USED_RESOLUTION) return null
  return statement('UPDATE credentials SET last_used_at = ? WHERE id = ?', now, credential.id)
}
