import { env } from 'cloudflare:workers'
import { expect } from 'vitest'
import type { Organization } from '../../src/context.ts'
import { statement } from '../../src/db/database.ts'
import type { Env } from '../../src/env.ts'
import { newId } from '../../src/ids.ts'
import { aFakeRegistry, type FakeContent, type FakeRegistry } from '../fake-registry.ts'
import { anOrganization } from '../world.ts'
import { shardOf } from './canonical.ts'
import type { System } from './system.ts'

/** An organization with one registry that answers, and a client with its admin key. */
export interface Tenant {
  organization: Organization
  registryId: string
  /** Names of this run, for the comparison with another one. */
  names: Record<string, string>
  host: string
  registry: FakeRegistry
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  rows<R = Record<string, unknown>>(sql: string, ...params: (string | number)[]): Promise<R[]>
}

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies without knowing their shape
  body: any
}

const RETRIES = 4

/** A call as a careful client makes it: again after a 503, as long as it says. */
export async function retrying(system: System, call: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await call()
    if (answer.status !== 503 || attempt === RETRIES) return answer
    system.advance(5000)
  }
}

export async function aTenant(system: System, repositories?: FakeContent): Promise<Tenant> {
  const { organization, adminKey } = await anOrganization()
  const registry = await aFakeRegistry('open', repositories)
  const { host, url } = registry
  const registryId = newId('registry')
  const db = shardOf(organization)
  await db.run(
    statement(
      `INSERT INTO registries (id, num, org, name, provider, url, host, path_prefix, insecure, scan_method, scanners,
                               schedule, status, created_at, updated_at)
       VALUES (?, (SELECT coalesce(max(num), 0) + 1 FROM registries), ?, 'test', 'DOCKER_REGISTRY', ?, ?, '', 1, 'cloud',
               '["trivy","grype","syft"]', 'manual', 'ACTIVE', ?, ?)`,
      ...[registryId, organization.num, url, host, system.now, system.now],
    ),
  )
  const call = (verb: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    system.fetch(
      new Request(`https://api.test${path}`, {
        method: verb,
        headers: {
          'X-API-Key': adminKey,
          'Content-Type': 'application/json',
          'CF-Connecting-IP': '203.0.113.9',
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
  return {
    ...{ organization, registryId, host, registry, call },
    names: { [host]: 'HOST', [organization.id]: 'ORG', [organization.slug]: 'SLUG' },
    rows: (sql, ...params) => db.all(statement(sql, ...params)),
  }
}

/** What waits in the organization: messages promised, deletions, scans that have not ended. */
export async function unfinished(tenant: Tenant): Promise<Record<string, number>> {
  const [row] = await tenant.rows<Record<string, number>>(
    `SELECT (SELECT count(*) FROM outbox WHERE org = ?1) AS outbox,
            (SELECT count(*) FROM blob_deletions WHERE org = ?1) AS deletions,
            (SELECT count(*) FROM recounts WHERE org = ?1) AS recounts,
            (SELECT count(*) FROM scans WHERE org = ?1 AND deadline_at IS NOT NULL) AS scans,
            (SELECT count(*) FROM registries WHERE org = ?1 AND status = 'DELETING') AS registries,
            (SELECT count(*) FROM jobs WHERE org = ?1 AND state <> 'done') AS jobs`,
    tenant.organization.num,
  )
  return row!
}

/** Ends what other stories left to the cloud's runners, and forgets their objects. */
export async function emptyCloud(): Promise<void> {
  const { DIRECTORY, SHARD_00, SHARD_01, ARTIFACTS } = env as unknown as Env
  const { objects } = await ARTIFACTS.list({ limit: 1000 })
  if (objects.length > 0) await ARTIFACTS.delete(objects.map(({ key }) => key))
  await DIRECTORY.prepare('DELETE FROM agents').run()
  for (const shard of [SHARD_00, SHARD_01]) await shard!.prepare("UPDATE jobs SET state = 'done'").run()
}

export const expectStatus = (answer: Answer, ...statuses: number[]): Answer => {
  expect(statuses, JSON.stringify(answer.body)).toContain(answer.status)
  return answer
}
