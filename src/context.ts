import type { Credential } from './auth/credentials.ts'
import type { Role } from './auth/roles.ts'
import type { Database, Statement } from './db/database.ts'
import type { Env } from './env.ts'

export interface Organization {
  /** The tenant key of every shard row. */
  num: number
  /** The public id, org_… */
  id: string
  slug: string
  shard: string
}

/** Who acts. Printed into audit rows by `actorLabel`. */
export type Actor =
  | { kind: 'api_key'; id: string; role: Role }
  | { kind: 'sensor'; credentialId: string; registryId: string | null }
  | { kind: 'operator' }
  | { kind: 'system'; job: string }

/** What every request and every job has. */
export interface BaseContext {
  env: Env
  requestId: string
  /** Milliseconds since 1970; the server's clock, read once. */
  now: number
  /** `CF-Connecting-IP`, or null outside HTTP. */
  ip: string | null
  directory: Database
  /** Runs after the reply; its failure is logged and harms nothing. */
  defer(work: Promise<unknown>): void
}

/** What a verb gets: one organization, its shard, and who acts. */
export interface Context extends BaseContext {
  organization: Organization
  actor: Actor
  db: Database
  /**
   * The row that remembers the reply to a request with an Idempotency-Key, for the batch that creates
   * `resourceId`; no statements where there is no key.
   */
  rememberReply(resourceId: string, status: number): Statement[]
}

/** What the runner routes get: who calls. The organization is known only once a job is. */
export interface AgentContext extends BaseContext {
  credential: Credential
}

export function actorLabel(actor: Actor): string {
  switch (actor.kind) {
    case 'api_key':
      return `api_key:${actor.id}`
    case 'sensor':
      return `sensor:${actor.credentialId}`
    case 'operator':
      return 'operator'
    case 'system':
      return `system:${actor.job}`
  }
}
