import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, it } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { BaseContext } from '../../src/context.ts'
import { openSecret, type StoredSecret, sealSecret } from '../../src/crypto/organization-secrets.ts'
import { SecretsUnavailable } from '../../src/crypto/root-keys.ts'
import { directoryDb, newMeter } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { anOrganization, nobody, type TestOrganization } from '../world.ts'

const bindings = env as unknown as Env
const CELL = { table: 'registries', row: 'reg_x', column: 'credentials' }
const FIRST = JSON.parse(bindings.ROOT_KEYS!) as { keys: Record<string, string> }
const aKey = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))

const withRoots = (active: string, keys: Record<string, string>): Env =>
  new Proxy(bindings, {
    get: (target, name, receiver) =>
      name === 'ROOT_KEYS' ? JSON.stringify({ active, keys }) : Reflect.get(target, name, receiver),
  })

let hours = 0

/** Each an hour later than the one before: what an isolate unwrapped is forgotten by then. */
const base = (roots: Env): BaseContext => ({
  ...{ env: roots, requestId: 'req_test', now: Date.now() + ++hours * 3_600_000, ip: null, defer: () => {} },
  directory: directoryDb(bindings, newMeter()),
})

/** Every slice of the renewal, as the runbook's loop asks for them. */
async function renew(roots: Env, body: object = {}) {
  const total = { rewrapped: 0, replaced: 0, kept: 0, unreadable: 0, calls: 0 }
  let after: number | null = 0
  while (after !== null && total.calls++ < 20) {
    const request: Request = new Request('https://api.test/operator/organization-keys/renew', {
      method: 'POST',
      headers: { Authorization: `Bearer ${bindings.OPERATOR_TOKEN}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ after, ...body }),
    })
    const reply: Response = await createApp().fetch(request, roots, createExecutionContext())
    expect(reply.status).toBe(200)
    const { data } = (await reply.json()) as { data: Record<string, number> & { next: number | null } }
    for (const name of ['rewrapped', 'replaced', 'kept', 'unreadable'] as const) total[name] += data[name]!
    after = data.next
  }
  return total
}

const keysOf = async ({ organization }: TestOrganization) =>
  (
    await bindings.DIRECTORY.prepare(
      'SELECT version, wrapped, state FROM organization_keys WHERE org = ? ORDER BY version',
    )
      .bind(organization.num)
      .all<{ version: number; wrapped: string; state: string }>()
  ).results

const opens = (roots: Env, { organization }: TestOrganization, stored: StoredSecret) =>
  openSecret(base(roots), organization, CELL, stored)

it('wraps every key under the active root key, so that the root key before can go', async () => {
  const ours = await anOrganization()
  const stored = await sealSecret(base(bindings), ours.organization, CELL, 'a secret')
  const both = withRoots('second', { ...FIRST.keys, second: aKey() })
  const second = withRoots('second', { second: JSON.parse(both.ROOT_KEYS!).keys.second })
  await expect(opens(second, ours, stored)).rejects.toThrow(SecretsUnavailable)
  expect(await renew(both)).toMatchObject({ rewrapped: 1, replaced: 0, unreadable: 0 })
  expect(await opens(second, ours, stored)).toBe('a secret')
  expect(await renew(both)).toMatchObject({ rewrapped: 0, kept: 1 })
  expect((await keysOf(ours))[0]!.wrapped).toMatch(/^v1\.second\./)
  expect(
    await renew(withRoots('test', { ...FIRST.keys, ...JSON.parse(second.ROOT_KEYS!).keys })),
  ).toMatchObject({
    rewrapped: 1,
  })
})

it('without the old root key an organization gets a new key only when that is asked for; the old one stays', async () => {
  const ours = await anOrganization()
  const before = await keysOf(ours)
  const stored = await sealSecret(base(bindings), ours.organization, CELL, 'a secret')
  const lost = withRoots('other', { other: aKey() })
  const all = (await renew(lost)).unreadable
  expect(all).toBeGreaterThanOrEqual(1)
  expect(await keysOf(ours)).toEqual(before)
  await expect(sealSecret(base(lost), ours.organization, CELL, 'new')).rejects.toThrow(SecretsUnavailable)

  expect(await renew(lost, { replaceUnreadable: true })).toMatchObject({ replaced: all, unreadable: 0 })
  expect((await keysOf(ours)).map(({ version, state }) => [version, state])).toEqual([
    [1, 'active'],
    [2, 'active'],
  ])
  const again = await sealSecret(base(lost), ours.organization, CELL, 'new')
  expect(await opens(lost, ours, again)).toBe('new')
  await expect(opens(lost, ours, stored)).rejects.toThrow(SecretsUnavailable)
  expect(await opens(bindings, ours, stored)).toBe('a secret')
  expect(await renew(lost, { replaceUnreadable: true })).toMatchObject({
    replaced: 0,
    kept: all,
    unreadable: all,
  })
})

it('goes through organizations in slices, two renewals at once change each key once', async () => {
  const numbers = JSON.stringify(Array.from({ length: 55 }, (_, index) => index))
  await bindings.DIRECTORY.prepare(
    `INSERT INTO organizations (id, slug, name, shard, created_at)
     SELECT 'org_slice' || value, 'slice-' || value, 'x', '00', 0 FROM json_each(?)`,
  )
    .bind(numbers)
    .run()
  const ours = await anOrganization()
  const both = withRoots('third', { ...FIRST.keys, third: aKey() })
  const runs = await Promise.all([renew(both), renew(both)])
  for (const { calls } of runs) expect(calls).toBeGreaterThan(1)
  expect((await keysOf(ours)).map(({ wrapped }) => wrapped.split('.')[1])).toEqual(['third'])
  const stored = await sealSecret(base(both), ours.organization, CELL, 'still')
  expect(await opens(both, ours, stored)).toBe('still')
})

it('does not exist for others', async () => {
  const ours = await anOrganization()
  for (const client of [nobody, ours])
    expect(await client.post('/operator/organization-keys/renew', {})).toBeProblem(404, 'NOT_FOUND')
})
