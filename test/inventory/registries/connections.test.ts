import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { aFakeRegistry, FAKE_CREDENTIALS, type FakeMode } from '../../fake-registry.ts'
import { anOrganization, type Json } from '../../world.ts'

const CUSTOM = { name: 'Ours', provider: 'CUSTOM', url: 'https://registry.example.com/team' }

describe('Testing a connection', () => {
  const test = async (mode: FakeMode, credentials: Json | null = null) => {
    const ours = await (await anOrganization()).as('developer')
    const { url } = await aFakeRegistry(mode)
    const answer = await ours.post('/api/registries/test-connection', {
      ...{ provider: 'DOCKER_REGISTRY', url, insecure: true },
      ...(credentials && { credentials }),
    })
    expect(answer.status, answer.text).toBe(200)
    expect(answer.text).not.toMatch(/secret-internal-detail|<html/)
    return answer.body.data
  }

  it('says how a registry authenticates', async () => {
    expect(await test('open')).toEqual({ ok: true, authentication: 'none', reason: null })
    expect(await test('basic', FAKE_CREDENTIALS)).toEqual({ ok: true, authentication: 'basic', reason: null })
    expect(await test('token', FAKE_CREDENTIALS)).toEqual({
      ok: true,
      authentication: 'bearer',
      reason: null,
    })
  })

  it.each([
    ['down', null, 'registry_unreachable'],
    ['slow', null, 'registry_unreachable'],
    ['html', null, 'registry_invalid_reply'],
    ['error', null, 'registry_error'],
    ['limited', null, 'registry_rate_limited'],
    ['redirect', null, 'registry_unreachable'],
    ['basic', null, 'registry_unauthorized'],
    ['basic', { username: 'user', password: 'wrong' }, 'registry_unauthorized'],
    ['token', { username: 'user', password: 'wrong' }, 'registry_unauthorized'],
  ] as const)('says why a registry that is %s does not work (%o)', async (mode, credentials, code) => {
    expect(await test(mode, credentials)).toMatchObject({ ok: false, authentication: null, reason: { code } })
  })

  it('refuses addresses that nobody may call', async () => {
    const ours = await anOrganization()
    for (const url of [
      'http://169.254.169.254/',
      'ftp://x.example.com',
      'https://a b',
      'https://[::ffff:1.2.3.4]',
    ]) {
      const body = { provider: 'CUSTOM', url, insecure: true }
      expect(await ours.post('/api/registries/test-connection', body), url).toBeProblem(
        400,
        'VALIDATION_ERROR',
      )
    }
  })
})

describe("A registry's sensor", () => {
  it('is offline until it is heard of and two minutes after it fell silent', async () => {
    const ours = await anOrganization()
    const { id } = (await ours.post('/api/registries', { ...CUSTOM, scanMethod: 'sensor' })).body.data
    const status = async () => (await ours.get(`/api/registries/${id}/sensor-status`)).body.data
    expect(await status()).toEqual({
      status: 'offline',
      lastHeartbeatAt: null,
      version: null,
      currentJob: null,
    })
    const heard = (at: number) =>
      (env as Env).DIRECTORY.prepare(
        `INSERT OR REPLACE INTO agents (id, credential_id, identity, org, registry_id, name, version, hostname, platform,
           protocol_version, capabilities, scanner_versions, registered_at, last_heartbeat_at)
         VALUES (?, 'c', ?, ?, ?, 's', '0.1.0', 'h', 'linux/amd64', 1, '[]', '{}', 1, ?)`,
      )
        .bind(`agt_${id}`, id, ours.organization.num, id, at)
        .run()
    await heard(Date.now())
    expect(await status()).toMatchObject({ status: 'online', version: '0.1.0', currentJob: null })
    await ours.db.run(
      statement(
        `INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, wanted, needs, phase, progress, created_at, updated_at)
         VALUES (?1, ?2, ?1, ?3, ?3, 'leased', 0, 0, 1, 1, 'scanning', 10, 1, 1)`,
        ...[`scn_${id}`, ours.organization.num, id],
      ),
    )
    expect(await status()).toMatchObject({ status: 'scanning', currentJob: { scanId: `scn_${id}` } })
    await heard(Date.now() - 121_000)
    expect(await status()).toMatchObject({ status: 'offline', version: '0.1.0' })
  })
})
