import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { statement } from '../../src/db/database.ts'
import type { Env } from '../../src/env.ts'
import { connected } from '../scanning/over-http.ts'
import { anOrganization, type TestOrganization } from '../world.ts'

const KEY = { 'Idempotency-Key': 'build-4711' }
const DAY = 24 * 3_600_000

/** Moves what is remembered of an organization's requests back in time. */
async function age(ours: TestOrganization, milliseconds: number): Promise<void> {
  const sql = 'UPDATE idempotency SET created_at = created_at - ? WHERE org = ?'
  await ours.db.run(statement(sql, milliseconds, ours.organization.num))
  await (env as unknown as Env).DIRECTORY.prepare(sql).bind(milliseconds, ours.organization.num).run()
}

const bodiesFor = (host: string): Record<string, object> => ({
  '/api/scans': { image: `${host}/team/app:1.0`, scanners: ['trivy'] },
  '/api/registries': { name: 'r', provider: 'CUSTOM', url: 'https://registry.example.com' },
  '/api/api-keys': { name: 'k' },
})
const idOf = (body: { scanId?: string; data?: { id: string } }) => body.scanId ?? body.data?.id

describe.each(['/api/scans', '/api/registries', '/api/api-keys'])('An Idempotency-Key on POST %s', (path) => {
  it('creates once for a day, then again', async () => {
    const ours = await anOrganization()
    const body = bodiesFor((await connected(ours)).host)[path]
    const first = await ours.post(path, body, KEY)
    await age(ours, DAY - 60_000)
    const second = await ours.post(path, body, KEY)
    expect([second.status, idOf(second.body)]).toEqual([first.status, idOf(first.body)])
    expect(second.headers.get('Idempotency-Replayed')).toBe('true')
    expect(second.headers.get('Location')).toBe(first.headers.get('Location'))
    await age(ours, 60_001)
    const third = await ours.post(path, body, KEY)
    expect(third.status).toBe(first.status)
    expect(third.headers.has('Idempotency-Replayed')).toBe(false)
    expect(idOf(third.body)).not.toBe(idOf(first.body))
  })

  it('is the organization’s own', async () => {
    const [ours, theirs] = [await anOrganization(), await anOrganization()]
    const made = await ours.post(path, bodiesFor((await connected(ours)).host)[path], KEY)
    const other = await theirs.post(path, bodiesFor((await connected(theirs)).host)[path], KEY)
    expect(other.status).toBe(made.status)
    expect(other.headers.has('Idempotency-Replayed')).toBe(false)
  })

  it('creates one where four requests race', async () => {
    const ours = await anOrganization()
    const body = bodiesFor((await connected(ours)).host)[path]
    const answers = await Promise.all([1, 2, 3, 4].map(() => ours.post(path, body, KEY)))
    expect(new Set(answers.map(({ status }) => status)).size).toBe(1)
    expect(new Set(answers.map((answer) => idOf(answer.body))).size).toBe(1)
    expect(answers.filter(({ headers }) => !headers.has('Idempotency-Replayed'))).toHaveLength(1)
  })
})

it('one Idempotency-Key is another one on each route', async () => {
  const ours = await anOrganization()
  const bodies = bodiesFor((await connected(ours)).host)
  for (const [path, body] of Object.entries(bodies)) {
    const made = await ours.post(path, body, KEY)
    expect(made.status, made.text).toBeLessThan(300)
    expect(made.headers.has('Idempotency-Replayed')).toBe(false)
  }
})

it('a request that was refused leaves its Idempotency-Key free', async () => {
  const ours = await anOrganization()
  expect(await ours.post('/api/api-keys', { name: 'k', role: 'owner' }, KEY)).toBeProblem(
    400,
    'VALIDATION_ERROR',
  )
  expect((await ours.post('/api/api-keys', { name: 'k' }, KEY)).status).toBe(201)
})
