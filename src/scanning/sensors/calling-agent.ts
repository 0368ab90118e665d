import { REGISTERED_AGENT_SQL, type RegisteredAgent } from '../../auth/credentials.ts'
import type { AgentContext, BaseContext } from '../../context.ts'
import { statement } from '../../db/database.ts'
import { newId } from '../../ids.ts'
import { ProtocolId } from './protocol.ts'
import type { RunnerIdentity } from './runner-identity.ts'

const FRESH = 20_000 // ms, below the heartbeat interval, so that polls keep a runner alive by themselves
const MAX_REMEMBERED = 5000 // agents, about 100 bytes each
const MAX_AGENTS = 200 // of one key, beyond which an unknown id is the agent heard of last
const heard = new Map<string, number>()

/** True for an agent that knows leases and fences; every other one is the public sensor. */
export const knowsLeases = ({ capabilities }: Pick<RegisteredAgent, 'capabilities'>): boolean =>
  (JSON.parse(capabilities) as string[]).includes('lease')

/**
 * The agent that a call names. A sensor never registers again, so an id that its key did not register is taken as
 * one that did; null for a cloud runner's, and for one that knows leases and was removed: those register again.
 */
export async function callingAgent(
  ctx: AgentContext,
  runner: RunnerIdentity,
  agentId: string,
): Promise<RegisteredAgent | null> {
  const { agent } = ctx.credential
  if (!agent) return runner.org === null ? null : adoptAgent(ctx, runner, agentId)
  if (agent.removedAt === null) return agent
  return knowsLeases(agent) ? null : adoptAgent(ctx, runner, agent.id)
}

/** Notes after the reply that an agent lives; at most every 20 s for each agent and isolate. */
export function stayAlive(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
  lastHeartbeatAt = 0,
): void {
  const name = `${runner.credentialId} ${agentId}`
  const last = Math.max(lastHeartbeatAt, heard.get(name) ?? 0)
  const isFresh = ctx.now - last < FRESH
  heard.delete(name)
  heard.set(name, isFresh ? last : ctx.now)
  if (heard.size > MAX_REMEMBERED) heard.delete(heard.keys().next().value!)
  if (!isFresh) ctx.defer(noteLife(ctx, runner, agentId))
}

async function noteLife(ctx: BaseContext, runner: RunnerIdentity, agentId: string): Promise<void> {
  const [, known] = await ctx.directory.batch([
    statement(
      `UPDATE agents SET last_heartbeat_at = ?1 WHERE id = ?2 AND credential_id = ?3
          AND last_heartbeat_at < ?1 - ${FRESH} AND removed_at IS NULL`,
      ctx.now,
      agentId,
      runner.credentialId,
    ),
    statement(
      `SELECT 1 FROM agents a WHERE a.id = ? AND a.credential_id = ?
          AND (a.removed_at IS NULL OR instr(a.capabilities, '"lease"') > 0)`,
      agentId,
      runner.credentialId,
    ),
  ])
  if (known!.rows.length === 0 && runner.org !== null) await adoptAgent(ctx, runner, agentId)
}

/**
 * The row of an agent that calls under an id of its own: made once for each key and id, and brought back where it
 * was removed. No id, one of another form, and one too many are the key's agent that was heard of last.
 */
async function adoptAgent(
  ctx: BaseContext,
  runner: RunnerIdentity,
  agentId: string,
): Promise<RegisteredAgent | null> {
  const named = ProtocolId.safeParse(agentId).success
  const results = await ctx.directory.batch([
    statement(
      `UPDATE agents SET removed_at = NULL, last_heartbeat_at = max(last_heartbeat_at, ?3)
        WHERE id = ?1 AND credential_id = ?2 AND removed_at IS NOT NULL`,
      agentId,
      runner.credentialId,
      ctx.now,
    ),
    statement(
      `INSERT INTO agents (id, credential_id, identity, org, registry_id, name, version, hostname, platform,
                           protocol_version, capabilities, scanner_versions, registered_at, last_heartbeat_at)
       SELECT CASE WHEN EXISTS (SELECT 1 FROM agents WHERE id = ?1) THEN ?2 ELSE ?1 END,
              ?3, 'id:' || ?1, ?4, ?5, ?1, '', '', '', 0, '["scan"]', '{}', ?6, ?6
        WHERE ?7 AND NOT EXISTS (SELECT 1 FROM agents WHERE id = ?1 AND credential_id = ?3)
          AND (SELECT count(*) FROM agents INDEXED BY agents_identity WHERE credential_id = ?3) < ${MAX_AGENTS}
       ON CONFLICT (credential_id, identity) DO UPDATE SET removed_at = NULL, last_heartbeat_at = ?6
        WHERE removed_at IS NOT NULL OR last_heartbeat_at < ?6 - ${FRESH}`,
      agentId,
      newId('agent'),
      runner.credentialId,
      runner.org,
      runner.registryId,
      ctx.now,
      named ? 1 : 0,
    ),
    statement(
      `SELECT a.id, ${REGISTERED_AGENT_SQL} FROM agents a INDEXED BY agents_identity WHERE a.credential_id = ?1
        ORDER BY a.id = ?2 DESC, a.identity = 'id:' || ?2 DESC, a.last_heartbeat_at DESC LIMIT 1`,
      runner.credentialId,
      agentId,
    ),
  ])
  return (results.at(-1)!.rows[0] as unknown as RegisteredAgent | undefined) ?? null
}
