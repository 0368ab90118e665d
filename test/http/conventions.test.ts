import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, it, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { Env } from '../../src/env.ts'
import { aCompleteScan, aHttpRunner, ask, connected } from '../scanning/over-http.ts'
import { emptyPools } from '../scanning/world.ts'
import { type Answer, anOrganization, nobody } from '../world.ts'

const JSON_BODY = { 'Content-Type': 'application/json' }

it('gives every reply a request id: streams, empty ones, refusals of each kind', async () => {
  await emptyPools()
  const ours = await anOrganization()
  const { host } = await connected(ours)
  const { scanId, sbomDigest } = await aCompleteScan(ours, await aHttpRunner(), `${host}/team/app:1.0`)
  const key = (await ours.post('/api/api-keys', { name: 'k' })).body.data.id
  const viewer = await ours.as('viewer')
  const sbom = `/api/scans/${scanId}/sbom`
  const large = { body: '{}', headers: { ...JSON_BODY, 'Content-Length': String(2 * 1024 * 1024) } }
  const answers: [number, Answer][] = [
    [200, await ours.get(sbom)],
    [304, await ours.get(sbom, { 'If-None-Match': `"${sbomDigest}"` })],
    [200, await nobody.get('/docs')],
    [202, await ask(ours, `${host}/team/app:1.0`)],
    [204, await ours.delete(`/api/api-keys/${key}`)],
    [400, await ours.send('POST', '/api/scans', { body: '{', headers: JSON_BODY })],
    [401, await nobody.get('/api/scans')],
    [403, await viewer.post('/api/registries', {})],
    [404, await nobody.get('/api/nothing')],
    [404, await ours.get('/api/scans/scn_0')],
    [405, await ours.send('PATCH', '/api/scans')],
    [413, await ours.send('POST', '/api/registries', large)],
    [415, await ours.send('POST', '/api/registries', { body: '{}' })],
    [200, await ours.send('HEAD', '/api/scans')],
  ]
  for (const [status, answer] of answers) {
    expect(answer.status, answer.text).toBe(status)
    expect(answer.headers.get('X-Request-Id')).toMatch(/^req_[0-9a-z]{20}$/)
  }
  const ids = answers.map(([, answer]) => answer.headers.get('X-Request-Id'))
  expect(new Set(ids).size).toBe(ids.length)
})

it('says nothing of an unexpected error but the request id, which the log has too', async () => {
  const lines: string[] = []
  const log = vi.spyOn(console, 'error').mockImplementation((line) => void lines.push(String(line)))
  const broken = new Proxy(env as unknown as Env, {
    get: (target, name, receiver) => {
      if (name === 'OPERATOR_TOKEN') throw new Error('canary of the inside')
      return Reflect.get(target, name, receiver)
    },
  })
  const request = new Request('https://api.test/operator/runners', { method: 'POST' })
  const reply = await createApp().fetch(request, broken, createExecutionContext())
  log.mockRestore()
  const text = await reply.text()
  const id = reply.headers.get('X-Request-Id')!
  expect([reply.status, JSON.parse(text).error.code]).toEqual([500, 'INTERNAL_ERROR'])
  expect(text).toContain(id)
  expect(text).not.toContain('canary')
  expect(lines.filter((line) => line.includes(id) && line.includes('canary'))).toHaveLength(1)
})

it('says what is left of a rate limit on what it accepts, refuses as input, and refuses as too much', async () => {
  const ours = await anOrganization()
  const { host } = await connected(ours)
  const ci = await ours.as('ci')
  const answers = [
    await ask(ci, `${host}/team/app:1.0`),
    await ci.post('/api/scans', { image: 'a b', scanners: ['trivy'] }),
    await ci.send('POST', '/api/scans', { body: '{', headers: JSON_BODY }),
    await ci.send('POST', '/api/scans', { body: '{' }),
  ]
  for (let i = 0; i < 7; i++) answers.push(await ci.post('/api/scans', {}))
  expect(answers.map(({ status }) => status)).toEqual([202, 400, 400, 415, ...Array(6).fill(400), 429])
  const left = answers.map(({ headers }) => headers.get('X-RateLimit-Remaining'))
  expect(left).toEqual(['9', '8', '7', '6', '5', '4', '3', '2', '1', '0', '0'])
  for (const { headers } of answers) {
    expect(headers.get('X-RateLimit-Limit')).toBe('10')
    expect(Number(headers.get('X-RateLimit-Reset'))).toBeGreaterThan(Date.now() / 1000 - 1)
  }
  const [refused] = answers.slice(-1)
  expect(Number(refused!.headers.get('Retry-After'))).toBeGreaterThan(0)
  const elsewhere = { 'CF-Connecting-IP': '198.51.100.77', 'X-Forwarded-For': '192.0.2.1' }
  expect((await ci.post('/api/scans', {}, elsewhere)).status).toBe(400)
  const forwarded = await ci.post('/api/scans', {}, { 'X-Forwarded-For': '192.0.2.9' })
  expect(forwarded.status).toBe(429)
})

it('counts nothing against a limit that has no credential, or too little of a role', async () => {
  const ours = await anOrganization()
  const viewer = await ours.as('viewer')
  const same = { 'CF-Connecting-IP': '198.51.100.88' }
  for (let i = 0; i < 12; i++) {
    expect((await viewer.post('/api/scans', {}, same)).status).toBe(403)
    expect((await nobody.post('/api/scans', {}, same)).status).toBe(401)
  }
  expect((await ours.post('/api/scans', {}, same)).headers.get('X-RateLimit-Remaining')).toBe('9')
})
