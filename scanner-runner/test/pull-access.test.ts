import { describe, expect, it, vi } from 'vitest'
import { anImage } from './support/image.ts'
import { failure, pull, registryOf } from './support/pulling.ts'
import type { Registry } from './support/registry.ts'
import { SELF_SIGNED } from './support/self-signed.ts'

const CANARY = 'canary-Passw0rd'

vi.setConfig({ testTimeout: 30_000 }) // generous: other work may keep the machine busy

describe('credentials', () => {
  const credentials = { username: 'scanner', password: CANARY }
  const expected = `Basic ${Buffer.from(`scanner:${CANARY}`).toString('base64')}`

  function basicAuth(registry: Registry) {
    registry.intercept = ({ headers }, response) => {
      if (headers.authorization === expected) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    }
  }

  it('are sent as Basic when the registry asks for it', async () => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    basicAuth(registry)
    expect(await failure(pull(`${registry.host}/a:1`, { credentials }))).toBe('pulled')
  })

  it.each([
    ['missing', null],
    ['wrong', { username: 'scanner', password: 'other' }],
  ])('that are %s are registry_unauthorized', async (_what, given) => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    basicAuth(registry)
    expect(await failure(pull(`${registry.host}/a:1`, { credentials: given }))).toBe('registry_unauthorized')
  })

  function tokenAuth(registry: Registry, answer: (token: string | undefined) => number) {
    registry.intercept = ({ url, headers }, response) => {
      if (url?.startsWith('/token')) {
        const status = answer(headers.authorization)
        response.writeHead(status).end(status === 200 ? '{"token":"t0ken"}' : '')
        return true
      }
      if (headers.authorization === 'Bearer t0ken') return false
      const realm = `Bearer realm="${registry.url}/token",service="s",scope="repository:a:pull"`
      response.writeHead(401, { 'www-authenticate': realm }).end()
      return true
    }
  }

  it('are exchanged for a token at the realm that the registry names', async () => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    tokenAuth(registry, (given) => (given === expected ? 200 : 401))
    expect(await failure(pull(`${registry.host}/a:1`, { credentials }))).toBe('pulled')
    expect(registry.asked.find(({ path }) => path.startsWith('/token'))?.path).toBe(
      '/token?service=s&scope=repository%3Aa%3Apull',
    )
  })

  it.each([
    [401, 'registry_unauthorized'],
    [403, 'registry_forbidden'],
    [429, 'registry_rate_limited'],
    [502, 'registry_error'],
  ])('that the token service answers with %i are %s, never an anonymous try', async (status, code) => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    tokenAuth(registry, () => status)
    expect(await failure(pull(`${registry.host}/a:1`, { credentials }))).toBe(code)
    for (const { path, authorization } of registry.asked)
      if (path.startsWith('/token')) expect(authorization).toBe(expected)
  })

  it('never follow a redirect to another host', async () => {
    const [registry, storage] = [await registryOf(), await registryOf()]
    const image = anImage()
    registry.add(image, '1')
    storage.add(image)
    registry.intercept = ({ url, headers }, response) => {
      if (headers.authorization !== expected) response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      else if (url?.includes('/blobs/')) response.writeHead(307, { location: `${storage.url}${url}` }).end()
      else return false
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`, { credentials }))).toBe('pulled')
    expect(storage.asked.length).toBeGreaterThan(0)
    for (const { authorization } of storage.asked) expect(authorization).toBeUndefined()
  })

  it("are never sent on another host's challenge", async () => {
    const [registry, storage] = [await registryOf(), await registryOf()]
    registry.add(anImage(), '1')
    storage.intercept = (_request, response) => {
      const realm = `Bearer realm="${storage.url}/token",service="s"`
      response.writeHead(401, { 'www-authenticate': realm }).end()
      return true
    }
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(302, { location: `${storage.url}${url}` }).end()
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`, { credentials }))).toBe('registry_error')
    expect(storage.asked.some(({ path }) => path.startsWith('/token'))).toBe(false)
  })
})

describe('where a pull may go', () => {
  it('is not a private network unless that is allowed, by address, by name or by redirect', async () => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    const policy = { allowPrivateNetworks: false, insecure: true }
    const port = registry.host.split(':')[1]
    for (const host of [registry.host, `localhost:${port}`, `[::1]:${port}`, `[::ffff:7f00:1]:${port}`])
      expect(await failure(pull(`${host}/a:1`, { policy }))).toBe('registry_unreachable')
    expect(registry.asked).toHaveLength(0)
  })

  it('is never a metadata address, also by a redirect of a registry on a private network', async () => {
    const registry = await registryOf()
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end()
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('registry_unreachable')
  })

  it('is https alone, with a verified certificate, unless the registry is marked insecure', async () => {
    const [plain, selfSigned] = [await registryOf(), await registryOf(SELF_SIGNED)]
    for (const registry of [plain, selfSigned]) {
      registry.add(anImage(), '1')
      const strict = { allowPrivateNetworks: true, insecure: false }
      expect(await failure(pull(`${registry.host}/a:1`, { policy: strict }))).toBe('registry_unreachable')
      expect(registry.asked).toHaveLength(0)
      expect(await failure(pull(`${registry.host}/a:1`))).toBe('pulled')
    }
  })

  it('ends after a few redirects', async () => {
    const registry = await registryOf()
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(302, { location: url }).end()
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('registry_invalid_reply')
    expect(registry.asked.length).toBeLessThan(10)
  })
})
