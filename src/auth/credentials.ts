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

/** What a runner process said when it registered, and what people decided about it. Lists are JSON. */
export interface RegisteredAgent {
  id: string
  publicKey: string | null
  scannerVersions: string
  capabilities: string
  labels: string
  concurrency: number
  lastHeartbeatAt: number
  disabledAt: number | null
  removedAt: number | null
}

/** The columns of RegisteredAgent, of an agent called `a`. */
export const REGISTERED_AGENT_SQL = `a.public_key AS publicKey, a.scanner_versions AS scannerVersions, a.capabilities,
  a.labels, a.concurrency, a.last_heartbeat_at AS lastHeartbeatAt, a.disabled_at AS disabledAt,
  a.removed_at AS removedAt`

const KEY_FORM = /^hg_(?:ak|rk)_[0-9a-f]{48}$/
const LAST_USED_RESOLUTION = 3_600_000 // one write an hour for each key, however often it is used

interface Row extends Omit<RegisteredAgent, 'id'> {
  id: string
  kind: Credential['kind']
  role: Role
  registry_id: string | null
  last_used_at: number | null
  num: number | null
  org_id: string | null
  slug: string | null
  shard: string | null
  agentId: string | null
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
              a.id AS agentId, ${REGISTERED_AGENT_SQL}
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

const agentOf = ({ agentId, ...row }: Row): RegisteredAgent | null =>
  agentId === null
    ? null
    : {
        id: agentId,
        publicKey: row.publicKey,
        scannerVersions: row.scannerVersions,
        capabilities: row.capabilities,
        labels: row.labels,
        concurrency: row.concurrency,
        lastHeartbeatAt: row.lastHeartbeatAt,
        disabledAt: row.disabledAt,
        removedAt: row.removedAt,
      }

/** The write that remembers a use, or null while the last one is recent enough. */
export function rememberUse(credential: Credential, now: number) {
  if (credential.lastUsedAt !== null && now - credential.lastUsedAt < LAST_USED_RESOLUTION) return null
  return statement('UPDATE credentials SET last_used_at = ? WHERE id = ?', now, credential.id)
}
