import { describe, expect, it } from 'vitest'
import { distribution } from '../src/inventory/registries/providers/distribution.ts'
import { bindSafeFetch } from '../src/net/safe-fetch.ts'
import { aFakeRegistry, FAKE_CREDENTIALS, type FakeRegistry } from './fake-registry.ts'

const connect = ({ url }: FakeRegistry, credentials: typeof FAKE_CREDENTIALS | null = null) =>
  distribution.open({
    fetch: bindSafeFetch({ allowPrivateNetworks: true }),
    baseUrl: url,
    insecure: true,
    credentials,
  })

describe('the registries of the tests', () => {
  it('speak the distribution protocol, anonymously, by Basic and by token', async () => {
    for (const mode of ['open', 'basic', 'token'] as const) {
      const registry = await aFakeRegistry(mode)
      const client = connect(registry, mode === 'open' ? null : FAKE_CREDENTIALS)
      expect(await client.probe()).toMatchObject({ ok: true })
      expect(await client.listRepositories()).toMatchObject({ value: { items: ['team/app', 'team/worker'] } })
      expect(await client.listTags('team/app')).toMatchObject({ value: { items: ['1.0', '1.1', 'latest'] } })
      const image = await client.resolveImage('team/app', 'latest', 'linux/arm64')
      expect(image).toMatchObject({ ok: true, value: { platforms: ['linux/amd64', 'linux/arm64'] } })
      expect((await registry.requests()).length).toBeGreaterThan(3)
    }
  })

  it('refuse what registries refuse', async () => {
    const kindOf = async (mode: Parameters<typeof aFakeRegistry>[0]) => {
      const probed = await connect(await aFakeRegistry(mode)).probe()
      return probed.ok ? 'ok' : probed.error.kind
    }
    expect(await kindOf('basic')).toBe('credentials_required')
    expect(await kindOf('token')).toBe('credentials_required')
    expect(await kindOf('down')).toBe('unreachable')
    expect(await kindOf('html')).toBe('invalid_reply')
    expect(await kindOf('limited')).toBe('rate_limited')
    expect(await kindOf('error')).toBe('server_error')
    expect(await kindOf('redirect')).toBe('address_refused')
  })
})
