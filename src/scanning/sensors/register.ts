import { calculateJwkThumbprint } from 'jose'
import type { BaseContext } from '../../context.ts'
import { isUsablePublicKey } from '../../crypto/sealed-credentials.ts'
import { sha256Hex } from '../../crypto/tokens.ts'
import { statement } from '../../db/database.ts'
import { invalid } from '../../http/problems.ts'
import { newId } from '../../ids.ts'
import { PROTOCOL_VERSION, type RegisterRequest } from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'

/**
 * One agent for each credential and public key (or name and hostname without a key). Registering again gives the
 * same id and renews what the runner says about itself; the key stays the one it was made with.
 */
export async function registerAgent(
  ctx: BaseContext,
  runner: RunnerIdentity,
  input: RegisterRequest,
): Promise<{ agentId: string }> {
  const { publicKey } = input
  if ((input.protocolVersion ?? PROTOCOL_VERSION) > PROTOCOL_VERSION) {
    throw invalid({
      path: 'protocolVersion',
      message: `this server speaks versions up to ${PROTOCOL_VERSION}`,
    })
  }
  if (publicKey && !(await isUsablePublicKey(publicKey))) {
    throw invalid({ path: 'publicKey', message: 'is not a point on P-256' })
  }
  const row = await ctx.directory.first<{ id: string }>(
    statement(
      `INSERT INTO agents (id, credential_id, identity, org, registry_id, name, version, hostname, platform, public_key,
                           protocol_version, capabilities, scanner_versions, registered_at, last_heartbeat_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?14)
       ON CONFLICT (credential_id, identity) DO UPDATE SET name = ?6, version = ?7, hostname = ?8, platform = ?9,
         protocol_version = ?11, capabilities = ?12, scanner_versions = ?13, registered_at = ?14, last_heartbeat_at = ?14
       RETURNING id`,
      newId('agent'),
      runner.credentialId,
      await identityOf(input),
      runner.org,
      runner.registryId,
      input.name,
      input.version,
      input.hostname,
      `${input.os}/${input.arch}`,
      publicKey ? JSON.stringify(publicKey) : null,
      input.protocolVersion ?? 0,
      JSON.stringify(input.capabilities),
      JSON.stringify(input.scannerVersions),
      ctx.now,
    ),
  )
  return { agentId: row!.id }
}

const identityOf = async ({ publicKey, name, hostname }: RegisterRequest): Promise<string> =>
  publicKey
    ? `jwk:${await calculateJwkThumbprint(publicKey)}`
    : `name:${await sha256Hex(JSON.stringify([name, hostname]))}`
