import { createExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createApp } from '../../../src/app.ts'
import { statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { openRegistry, storedCredentials, syncRegistry } from '../../../src/inventory/registries/index.ts'
import { aFakeRegistry, FAKE_CREDENTIALS } from '../../fake-registry.ts'
import { type Answer, anOrganization, type Json, type TestOrganization } from '../../world.ts'
import { finishSync, jobContext, readRegistry } from './system.ts'

const CANARY = 'canary-7f3a-never-to-be-seen'
const WRONG = { username: 'user', password: CANARY }
const LEVELS = ['log', 'info', 'warn', 'error', 'debug'] as const

let lines: string[] = []
beforeEach(() => {
  lines = []
  for (const level of LEVELS) {
    vi.spyOn(console, level).mockImplementation((...said) => void lines.push(said.map(String).join(' ')))
  }
})
afterEach(() => void vi.restoreAllMocks())

/** Every row of every table of both databases, as text. */
async function everyRow(): Promise<string> {
  const bindings = env as unknown as Env
  const texts: string[] = []
  for (const database of [bindings.DIRECTORY, bindings.SHARD_00!, bindings.SHARD_01!]) {
    const tables = await database
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'`)
      .all<{ name: string }>()
    for (const { name } of tables.results) {
      texts.push(JSON.stringify((await database.prepare(`SELECT * FROM "${name}"`).all()).results))
    }
  }
  return texts.join('\n')
}

interface StoredRow {
  id: string
  provider: string
  url: string
  insecure: number
  credentials: string
  dek: string
  kekVersion: number
}

const storedRow = async (ours: TestOrganization, id: string) =>
  (await ours.db.first<StoredRow>(
    statement(
      `SELECT id, provider, url, insecure, credentials, dek, kek_version AS kekVersion FROM registries WHERE id = ?`,
      id,
    ),
  ))!

describe('The password of a registry', () => {
  it('is in no response, log line, message, audit row or other row', async () => {
    const ours = await anOrganization()
    const fake = await aFakeRegistry('basic')
    const body = { name: 'x', provider: 'CUSTOM', url: fake.url, insecure: true, credentials: WRONG }
    const answers: Answer[] = []
    const seen = async (answer: Promise<Answer>) => {
      answers.push(await answer)
      return answers.at(-1)!
    }
    await seen(ours.post('/api/registries/test-connection', body))
    const { id } = (await seen(ours.post('/api/registries', body))).body.data
    const rows = [await everyRow()]
    await finishSync(ours, id)
    await seen(ours.put(`/api/registries/${id}`, { name: 'y', credentials: WRONG }))
    await seen(ours.put(`/api/registries/${id}`, { url: 'https://elsewhere.example.com' }))
    await seen(ours.post('/api/registries', { ...body, credentials: { ...WRONG, extra: 1 } }))
    await seen(ours.post('/api/registries', { ...body, credentials: { username: 'a:b', password: CANARY } }))
    await seen(ours.get(`/api/registries/${id}`))
    await seen(ours.get('/api/registries'))
    await seen(ours.post(`/api/registries/${id}/sync`))
    rows.push(await everyRow())
    await seen(ours.delete(`/api/registries/${id}`))
    rows.push(await everyRow())
    const encoded = [CANARY, btoa(`user:${CANARY}`).slice(0, 30)]
    for (const text of [...answers.map((answer) => answer.text), ...lines, ...rows]) {
      for (const secret of encoded) expect(text.includes(secret), text.slice(0, 200)).toBe(false)
    }
    const sent = await fake.requests()
    expect(sent.some(({ authorization }) => authorization?.startsWith('Basic'))).toBe(true)
  })

  it('is encrypted from the first row, and gone from it with the registry', async () => {
    const ours = await anOrganization()
    const body = { name: 'x', provider: 'CUSTOM', url: 'https://registry.example.com', credentials: WRONG }
    const { id } = (await ours.post('/api/registries', body)).body.data
    const row = await storedRow(ours, id)
    expect(await storedCredentials(await jobContext(ours), row)).toEqual(WRONG)
    await ours.delete(`/api/registries/${id}`)
    expect(await storedRow(ours, id)).toMatchObject({ credentials: null, dek: null, kekVersion: null })
  })

  it('does not open in the row of another registry or organization', async () => {
    const [ours, theirs] = [await anOrganization(), await anOrganization()]
    const body = { name: 'x', provider: 'CUSTOM', url: 'https://registry.example.com', credentials: WRONG }
    const [one, two] = [await ours.post('/api/registries', body), await ours.post('/api/registries', body)]
    const stolen = { ...(await storedRow(ours, one.body.data.id)), id: two.body.data.id as string }
    expect(await storedCredentials(await jobContext(ours), stolen)).toBe('unreadable')
    const abroad = await storedRow(ours, one.body.data.id)
    expect(await storedCredentials(await jobContext(theirs), abroad)).toBe('unreadable')
    const opened = await openRegistry(await jobContext(ours), stolen)
    expect(opened).toMatchObject({ ok: false, reason: { code: 'credentials_unavailable' } })
  })

  it('goes to the host it was given for and to no other', async () => {
    const ours = await anOrganization()
    const [first, second] = [await aFakeRegistry('basic'), await aFakeRegistry('open')]
    const body = { name: 'x', provider: 'CUSTOM', insecure: true }
    const made = await ours.post('/api/registries', {
      ...body,
      url: first.url,
      credentials: FAKE_CREDENTIALS,
    })
    const { id } = made.body.data
    await finishSync(ours, id)
    await ours.put(`/api/registries/${id}`, { url: second.url })
    await ours.post('/api/registries/test-connection', {
      provider: 'CUSTOM',
      url: second.url,
      insecure: true,
    })
    await ours.post(`/api/registries/${id}/sync`)
    await finishSync(ours, id)
    expect((await second.requests()).every(({ authorization }) => authorization === null)).toBe(true)
  })
})

describe('Without ROOT_KEYS', () => {
  const without = { ...(env as unknown as Env), ROOT_KEYS: undefined } as Env
  const ask = (ours: TestOrganization, method: string, path: string, body?: Json) =>
    createApp().fetch(
      new Request(`https://api.test${path}`, {
        method,
        headers: { Authorization: `Bearer ${ours.adminKey}`, 'Content-Type': 'application/json' },
        ...(body && { body: JSON.stringify(body) }),
      }),
      without,
      createExecutionContext(),
    )
  const BODY = { name: 'x', provider: 'CUSTOM', url: 'https://registry.example.com' }

  it('only what needs a secret answers 503', async () => {
    const ours = await anOrganization()
    const refused = await ask(ours, 'POST', '/api/registries', { ...BODY, credentials: WRONG })
    expect(refused.status).toBe(503)
    expect(((await refused.json()) as Json).error.code).toBe('SERVICE_UNAVAILABLE')
    const made = await ask(ours, 'POST', '/api/registries', BODY)
    expect(made.status).toBe(201)
    const { id } = ((await made.json()) as Json).data
    expect((await ask(ours, 'PUT', `/api/registries/${id}`, { credentials: WRONG })).status).toBe(503)
    expect((await ask(ours, 'PUT', `/api/registries/${id}`, { name: 'y' })).status).toBe(200)
    expect((await ask(ours, 'GET', '/api/registries')).status).toBe(200)
  })

  it('a sync of a registry with credentials ends with the reason', async () => {
    const ours = await anOrganization()
    const { id } = (await ours.post('/api/registries', { ...BODY, credentials: WRONG })).body.data
    await syncRegistry({ ...(await jobContext(ours)), env: without }, id, 1)
    expect(await readRegistry(ours, id)).toMatchObject({
      status: 'ERROR',
      statusReason: { code: 'credentials_unavailable' },
      syncStatus: 'idle',
    })
  })
})
