import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Env } from '../../src/env.ts'
import { anOrganization, caller, nobody } from '../world.ts'

describe('API keys', () => {
  it('shows a new key once and lists it by its prefix', async () => {
    const ours = await anOrganization()
    const made = await ours.post('/api/api-keys', { name: 'ci', role: 'ci' })
    expect(made.status).toBe(201)
    const { id, key, prefix } = made.body.data
    expect(key).toMatch(/^hg_ak_[0-9a-f]{48}$/)
    expect(prefix).toBe(key.slice(0, 10))
    const listed = await ours.get('/api/api-keys')
    expect(listed.status, listed.text).toBe(200)
    expect(listed.body.data.map((k: { id: string }) => k.id)).toContain(id)
    expect(listed.text).not.toContain(key)
  })

  it('stores only the SHA-256 of a key', async () => {
    const ours = await anOrganization()
    const rows = await (env as Env).DIRECTORY.prepare('SELECT * FROM credentials').all()
    expect(JSON.stringify(rows.results)).not.toContain(ours.adminKey)
  })

  it('refuses a revoked key at the next request', async () => {
    const ours = await anOrganization()
    const { id, key } = (await ours.post('/api/api-keys', { name: 'ci', role: 'viewer' })).body.data
    const client = caller(key, {})
    const before = await client.get('/api/api-keys')
    expect(before).toBeProblem(403, 'FORBIDDEN')
    expect((await ours.delete(`/api/api-keys/${id}`)).status).toBe(204)
    expect(await client.get('/api/api-keys')).toBeProblem(401, 'UNAUTHORIZED')
    expect(await ours.delete(`/api/api-keys/${id}`)).toBeProblem(404, 'NOT_FOUND')
  })

  it('refuses an expired key with a plain 401', async () => {
    const ours = await anOrganization()
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    const { id, key } = (await ours.post('/api/api-keys', { name: 'short', role: 'admin', expiresAt })).body
      .data
    expect((await caller(key).get('/api/api-keys')).status).toBe(200)
    await (env as Env).DIRECTORY.prepare('UPDATE credentials SET expires_at = 1 WHERE id = ?').bind(id).run()
    expect(await caller(key).get('/api/api-keys')).toBeProblem(401, 'UNAUTHORIZED')
  })

  it('gives no role above the creator’s and no owner role', async () => {
    const ours = await anOrganization()
    expect(await ours.post('/api/api-keys', { name: 'x', role: 'owner' })).toBeProblem(
      400,
      'VALIDATION_ERROR',
    )
    expect(await ours.post('/api/api-keys', { name: 'x', role: 'root' })).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('hides another organization’s key as not found', async () => {
    const [ours, theirs] = [await anOrganization(), await anOrganization()]
    const { id } = (await theirs.post('/api/api-keys', { name: 'x' })).body.data
    const hidden = await ours.delete(`/api/api-keys/${id}`)
    const random = await ours.delete('/api/api-keys/key_00000000000000000000')
    expect(hidden).toBeProblem(404, 'NOT_FOUND')
    expect(hidden.body).toEqual(random.body)
  })

  it('takes either header, the same key in both, and refuses two different ones', async () => {
    const ours = await anOrganization()
    const other = (await ours.post('/api/api-keys', { name: 'x', role: 'admin' })).body.data.key
    const { adminKey } = ours
    const status = async (headers: Record<string, string>) =>
      (await nobody.get('/api/api-keys', headers)).status
    expect(await status({ 'x-api-key': adminKey })).toBe(200)
    expect(await status({ Authorization: `Bearer ${adminKey}` })).toBe(200)
    expect(await status({ 'X-API-Key': adminKey, Authorization: `Bearer ${adminKey}` })).toBe(200)
    expect(await status({ 'X-API-Key': adminKey, Authorization: `Bearer ${other}` })).toBe(401)
    expect(await status({ 'X-API-Key': adminKey, Authorization: 'Basic abc' })).toBe(401)
    expect(await status({})).toBe(401)
  })

  it('refuses a key of another form without touching the database', async () => {
    const answer = await nobody.get('/api/api-keys', { 'X-API-Key': 'hg_live_123' })
    expect(answer).toBeProblem(401, 'UNAUTHORIZED')
    expect(answer.meter.trips).toBe(0)
  })

  it('creates once for one Idempotency-Key and never shows the key again', async () => {
    const ours = await anOrganization()
    const headers = { 'Idempotency-Key': 'build-1' }
    const first = await ours.post('/api/api-keys', { name: 'once' }, headers)
    const again = await ours.post('/api/api-keys', { name: 'once' }, headers)
    expect(again.status).toBe(201)
    expect(again.headers.get('Idempotency-Replayed')).toBe('true')
    expect(again.body.data.id).toBe(first.body.data.id)
    expect(again.body.data.key).toBeUndefined()
    expect(await ours.post('/api/api-keys', { name: 'other' }, headers)).toBeProblem(409, 'CONFLICT')
  })

  it('creates one key when two requests with one Idempotency-Key race', async () => {
    const ours = await anOrganization()
    const headers = { 'Idempotency-Key': 'race' }
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() => ours.post('/api/api-keys', { name: 'race' }, headers)),
    )
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201])
    expect(new Set(answers.map((answer) => answer.body.data.id)).size).toBe(1)
  })

  it('limits how often keys are created, and says so in headers', async () => {
    const ours = await anOrganization()
    const answers = []
    for (let i = 0; i < 11; i++) answers.push(await ours.post('/api/api-keys', { name: `k${i}` }))
    expect(answers.slice(0, 10).every((answer) => answer.status === 201)).toBe(true)
    const refused = answers[10]!
    expect(refused).toBeProblem(429, 'RATE_LIMITED')
    expect(Number(refused.headers.get('Retry-After'))).toBeGreaterThan(0)
    expect(refused.headers.get('X-RateLimit-Limit')).toBe('10')
    expect(refused.headers.get('X-RateLimit-Remaining')).toBe('0')
  })
})
