import { describe, expect, it } from 'vitest'
import { anOrganization, nobody } from '../world.ts'

describe('Documents', () => {
  it('serves the OpenAPI document in both forms without touching the database', async () => {
    const yaml = await nobody.get('/openapi/harborguard-v1.yaml')
    expect(yaml.text).toMatch(/^openapi: 3\.1\.0\n/)
    const json = await nobody.get('/openapi/harborguard-v1.json')
    expect(json.body.openapi).toBe('3.1.0')
    expect([yaml.meter.trips, json.meter.trips]).toEqual([0, 0])
  })

  it('serves the documentation page with its script from the Worker itself', async () => {
    const page = await nobody.get('/docs')
    expect(page.status).toBe(200)
    expect(page.text).not.toMatch(/https?:\/\//)
    const script = /<script>([\s\S]*)<\/script>/.exec(page.text)![1]!
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(script))
    const source = `sha256-${btoa(String.fromCharCode(...new Uint8Array(hash)))}`
    expect(page.headers.get('Content-Security-Policy')).toContain(source)
    for (const [, file] of page.text.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)) {
      expect((await nobody.get(file!)).status, file).toBe(200)
    }
    expect(await nobody.get('/docs/package.json')).toBeProblem(404, 'NOT_FOUND')
  })

  it('answers every path with a request id, unknown ones with 404 and wrong methods with 405', async () => {
    const unknown = await nobody.get('/api/nothing')
    expect(unknown).toBeProblem(404, 'NOT_FOUND')
    expect(unknown.headers.get('X-Request-Id')).toMatch(/^req_[0-9a-z]{20}$/)
    const wrong = await nobody.send('PATCH', '/api/health')
    expect(wrong).toBeProblem(405, 'METHOD_NOT_ALLOWED')
    expect(wrong.headers.get('Allow')).toBe('GET')
    expect((await nobody.send('HEAD', '/api/health')).status).toBe(200)
  })
})

describe('Bodies', () => {
  it.each([
    ['not JSON', '{"name":', 400, 'BAD_REQUEST'],
    ['nothing', '', 400, 'BAD_REQUEST'],
    ['a list', '[]', 400, 'VALIDATION_ERROR'],
    ['a wrong type', '{"name":7}', 400, 'VALIDATION_ERROR'],
    ['an unknown field', '{"name":"x","colour":"red"}', 400, 'VALIDATION_ERROR'],
    ['too much', JSON.stringify({ name: 'x'.repeat(1024 * 1024) }), 413, 'PAYLOAD_TOO_LARGE'],
  ])('refuses %s with its documented code', async (_, body, status, code) => {
    const ours = await anOrganization()
    const headers = { 'Content-Type': 'application/json' }
    expect(await ours.send('POST', '/api/api-keys', { body, headers })).toBeProblem(status, code)
  })

  it('names each problem by its path', async () => {
    const ours = await anOrganization()
    const answer = await ours.post('/api/api-keys', { role: 'root', colour: 'red' })
    expect(answer.body.error.issues.map((issue: { path: string }) => issue.path).sort()).toEqual([
      'colour',
      'name',
      'role',
    ])
  })

  it('refuses another media type and bytes that are not UTF-8', async () => {
    const ours = await anOrganization()
    const form = { body: 'name=x', headers: { 'Content-Type': 'application/x-www-form-urlencoded' } }
    expect(await ours.send('POST', '/api/api-keys', form)).toBeProblem(415, 'UNSUPPORTED_MEDIA_TYPE')
    const bytes = {
      body: new Uint8Array([0x22, 0xff, 0x22]),
      headers: { 'Content-Type': 'application/json' },
    }
    expect(await ours.send('POST', '/api/api-keys', bytes)).toBeProblem(400, 'BAD_REQUEST')
  })
})

describe('Operator routes', () => {
  it('do not exist for anybody but the operator', async () => {
    const ours = await anOrganization()
    const body = { name: 'runner' }
    const hidden = await ours.post('/operator/runners', body)
    const missing = await ours.post('/operator/nothing', body)
    expect(hidden).toBeProblem(404, 'NOT_FOUND')
    expect(hidden.body).toEqual(missing.body)
    expect(await nobody.get('/operator/runners')).toBeProblem(404, 'NOT_FOUND')
  })
})
