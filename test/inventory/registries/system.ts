import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { recordReference } from '../../../src/inventory/artifacts/index.ts'
import { syncRegistry } from '../../../src/inventory/registries/index.ts'
import { systemBase, systemContext } from '../../../src/system-context.ts'
import { aFakeRegistry, type FakeContent, type FakeMode } from '../../fake-registry.ts'
import { anOrganization, type Json, type TestOrganization } from '../../world.ts'

/** The context of a queue message of this organization. */
export const jobContext = async (ours: TestOrganization, now = Date.now()): Promise<Context> =>
  (await systemContext(systemBase(env as Env, createExecutionContext(), now), ours.organization.num, 'test'))!

/** The same whose messages are promised and never sent: the queue does not interfere. */
export async function silentContext(ours: TestOrganization, now: number): Promise<Context> {
  const ctx = await jobContext(ours, now)
  const silent = { sendBatch: async () => undefined } as unknown as Env['WORK']
  return { ...ctx, env: { ...ctx.env, WORK: silent } }
}

/** Promised messages of a kind. */
export const promisesOf = (ours: TestOrganization, kind: string): Promise<{ id: string }[]> =>
  ours.db.all(
    statement(
      `SELECT id FROM outbox WHERE org = ? AND message ->> '$.kind' = ? ORDER BY id`,
      ours.organization.num,
      kind,
    ),
  )

export const readRegistry = async (ours: TestOrganization, id: string): Promise<Json> =>
  (await ours.get(`/api/registries/${id}`)).body.data

const LAST_ATTEMPT = 9

/** Runs slices until the sync has ended, side by side with the queue, and returns the registry. */
export async function finishSync(ours: TestOrganization, id: string): Promise<Json> {
  for (let slice = 0; slice < 100; slice++) {
    const registry = await readRegistry(ours, id)
    if (registry.syncStatus === 'idle') return registry
    await syncRegistry(await jobContext(ours), id, LAST_ATTEMPT)
  }
  throw new Error('the sync does not end')
}

/** The artifact of a tag as a dispatch would record it; returns artifacts.id. */
export async function anArtifactOf(
  ours: TestOrganization,
  of: { registryId: string; host: string; repository: string; tag: string; versionDigest: string },
): Promise<number> {
  const org = ours.organization.num
  const digest = `sha256:${of.versionDigest.slice(7).split('').reverse().join('')}`
  await ours.db.batch(recordReference({ ...of, org, digest, platform: 'linux/amd64' }, Date.now()))
  const row = await ours.db.first<{ id: number }>(
    statement('SELECT id FROM artifacts WHERE org = ? AND digest = ?', org, digest),
  )
  return row!.id
}

/** A connected registry of its own, synced to the end. `resync` does it again. */
export async function connect(mode: FakeMode, content?: FakeContent, more: Json = {}, of?: TestOrganization) {
  const ours = of ?? (await anOrganization())
  const fake = await aFakeRegistry(mode, content)
  const body = { name: 'fake', provider: 'DOCKER_REGISTRY', url: fake.url, insecure: true, ...more }
  const made = await ours.post('/api/registries', body)
  expect(made.status, made.text).toBe(201)
  const { id } = made.body.data
  const resync = async () => {
    await ours.post(`/api/registries/${id}/sync`)
    return finishSync(ours, id)
  }
  return { ours, fake, id, registry: await finishSync(ours, id), resync }
}

export interface TagRow {
  repository: string
  name: string
  digest: string | null
  artifact: number | null
}

export const tagsOf = (ours: TestOrganization, id: string) =>
  ours.db.all<TagRow>(
    statement(
      `SELECT i.repository, t.name, t.digest, t.artifact FROM images i JOIN tags t ON t.image_id = i.id
        WHERE i.org = ? AND i.registry_id = ? ORDER BY i.repository, t.name`,
      ours.organization.num,
      id,
    ),
  )

export const imagesOf = (ours: TestOrganization, id: string) =>
  ours.db.all<Json>(
    statement(
      `SELECT repository, name, tag_count, latest_tag, latest_digest, critical FROM images
        WHERE org = ? AND registry_id = ? ORDER BY repository`,
      ours.organization.num,
      id,
    ),
  )
