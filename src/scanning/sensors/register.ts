import { calculateJwkThumbprint } from 'jose'
import type { BaseContext } from '../../context.ts'
import { isUsablePublicKey } from '../../crypto/sealed-credentials.ts'
import { sha256Hex } from '../../crypto/tokens.ts'
import { statement } from '../../db/database.ts'
import { invalid, problem } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import {
  CAPABILITIES,
  MIN_PROTOCOL_VERSION,
  PROTOCOL_VERSION,
  type RegisterReply,
  type RegisterRequest,
} from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'

const FORGOTTEN_AFTER = 30 * 24 * 3_600_000 // ms of silence: hosts with names that are used once

/**
 * One agent for each credential and public key (or name and hostname without a key). Registering again gives the
 * same id and renews what the runner says about itself; the key stays the one it was made with, and a disabled one
 * stays disabled. A runner of a newer protocol is told what the server speaks; one that is too old is refused with
 * `runner_too_old`. Others of the same key that were silent for 30 days are forgotten, except where they are disabled.
 */
export async function registerAgent(
  ctx: BaseContext,
  runner: RunnerIdentity,
  input: RegisterRequest,
): Promise<RegisterReply> {
  const { publicKey, protocolVersion } = input
  if (protocolVersion !== undefined && protocolVersion < MIN_PROTOCOL_VERSION) throw tooOld(protocolVersion)
  if (publicKey && !(await isUsablePublicKey(publicKey))) {
    throw invalid({ path: 'publicKey', message: 'is not a point on P-256' })
  }
  const identity = await identityOf(input)
  const [, made] = await ctx.directory.batch([
    statement(
      `DELETE FROM agents INDEXED BY agents_identity
        WHERE credential_id = ? AND identity <> ? AND last_heartbeat_at < ? AND disabled_at IS NULL`,
      runner.credentialId,
      identity,
      ctx.now - FORGOTTEN_AFTER,
    ),
    statement(
      `INSERT INTO agents (id, credential_id, identity, org, registry_id, name, version, hostname, platform, public_key,
                           protocol_version, capabilities, scanner_versions, registered_at, last_heartbeat_at, labels,
                           concurrency)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14, ?15, ?16)
       ON CONFLICT (credential_id, identity) DO UPDATE SET name = ?6, version = ?7, hostname = ?8, platform = ?9,
         protocol_version = ?11, capabilities = ?12, scanner_versions = ?13, registered_at = ?14,
         last_heartbeat_at = ?14, labels = ?15, concurrency = ?16, removed_at = NULL
       RETURNING id`,
      newId('agent'),
      runner.credentialId,
      identity,
      runner.org,
      runner.registryId,
      input.name,
      input.version,
      input.hostname,
      `${input.os}/${input.arch}`,
      publicKey ? JSON.stringify(publicKey) : null,
      protocolVersion ?? 0,
      JSON.stringify(input.capabilities),
      JSON.stringify(input.scannerVersions),
      ctx.now,
      JSON.stringify([...new Set(input.labels)].sort()),
      input.concurrency ?? 1,
    ),
  ])
  const agentId = (made!.rows[0] as { id: string }).id
  return { agentId, protocolVersion: PROTOCOL_VERSION, capabilities: [...CAPABILITIES] }
}

const tooOld = (version: number) =>
  problem(
    'BAD_REQUEST',
    `This runner speaks protocol version ${version}; the server needs ${MIN_PROTOCOL_VERSION} or later: update the runner`,
    { detail: 'runner_too_old' },
  )

const identityOf = async ({ publicKey, name, hostname }: RegisterRequest): Promise<string> =>
  publicKey
    ? `jwk:${await calculateJwkThumbprint(publicKey)}`
    : `name:${await sha256Hex(JSON.stringify([name, hostname]))}`
