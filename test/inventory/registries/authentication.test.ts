import { describe, expect, it } from 'vitest'
import { always, kindOf, openClient, succeeded, WRONG } from './client.ts'
import { aRegistry, type FakeRegistry, REALM, USER } from './fake-registry.ts'
import { anImage } from './images.ts'

describe('a probe', () => {
  it('finds out how a registry authenticates', async () => {
    const probed = async (auth: FakeRegistry['auth'], credentials: typeof USER | null) =>
      succeeded(await openClient(aRegistry({ auth }), { credentials }).probe())
    expect(await probed('none', null)).toEqual({ scheme: 'none', tokenHost: null })
    expect(await probed('none', USER)).toEqual({ scheme: 'none', tokenHost: null })
    expect(await probed('basic', USER)).toEqual({ scheme: 'basic', tokenHost: null })
    expect(await probed('bearer', USER)).toEqual({ scheme: 'bearer', tokenHost: 'auth.example.com' })
    expect(await probed('bearer', null)).toEqual({ scheme: 'bearer', tokenHost: 'auth.example.com' })
  })

  it('tells wrong credentials, and asks nothing more with none', async () => {
    expect(kindOf(await openClient(aRegistry({ auth: 'basic' }), { credentials: WRONG }).probe())).toBe(
      'unauthorized',
    )
    expect(kindOf(await openClient(aRegistry({ auth: 'bearer' }), { credentials: WRONG }).probe())).toBe(
      'unauthorized',
    )
    expect(kindOf(await openClient(aRegistry({ auth: 'basic' })).probe())).toBe('credentials_required')
  })

  it('tells wrong credentials also where the root is open to everybody', async () => {
    const registry = aRegistry({
      intercept: (request) => {
        const wrong = request.headers.has('authorization')
        return wrong
          ? new Response('', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } })
          : null
      },
    })
    const client = openClient(registry, { credentials: WRONG })
    expect(kindOf(await client.probe())).toBe('unauthorized')
    expect(registry.requests.map(({ authorization }) => authorization === null)).toEqual([true, false])
    expect(kindOf(await client.listRepositories())).toBe('unauthorized')
  })

  it.each([
    [
      'a web page',
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
      'invalid_reply',
    ],
    ['nothing there', () => new Response('', { status: 404 }), 'invalid_reply'],
    ['a teapot', () => new Response('', { status: 418 }), 'invalid_reply'],
    ['too much', () => new Response('x'.repeat(100_000)), 'invalid_reply'],
    ['403', () => new Response('', { status: 403 }), 'forbidden'],
    ['429', () => new Response('', { status: 429 }), 'rate_limited'],
    ['500', () => new Response('', { status: 500 }), 'server_error'],
    ['503', () => new Response('', { status: 503 }), 'server_error'],
    ['401 without a challenge', () => new Response('', { status: 401 }), 'credentials_required'],
    [
      'a redirect inwards',
      () => new Response('', { status: 302, headers: { location: 'https://10.0.0.1/' } }),
      'address_refused',
    ],
    [
      'redirects without end',
      () => new Response('', { status: 302, headers: { location: '/v2/' } }),
      'too_many_redirects',
    ],
  ])('of %s is an error of its own', async (_, make, kind) => {
    expect(kindOf(await openClient(always(make)).probe())).toBe(kind)
  })

  it('tells a registry that is not there from one that is slow', async () => {
    const down = aRegistry({ intercept: () => Promise.reject(new TypeError('ECONNREFUSED')) })
    expect(kindOf(await openClient(down).probe())).toBe('unreachable')
    const slow = () => aRegistry({ intercept: () => new Promise<never>(() => undefined) })
    expect(kindOf(await openClient(slow(), { timeoutMs: 20 }).probe())).toBe('timeout')
    const ended = new AbortController()
    const pending = openClient(slow(), { signal: ended.signal }).probe()
    ended.abort()
    expect(kindOf(await pending)).toBe('timeout')
  })
})

describe('tokens', () => {
  it('are asked for with the least scope, and kept while they are valid', async () => {
    const registry = aRegistry({ auth: 'bearer' })
    await anImage(registry, 'linux/amd64', 'v1')
    const client = openClient(registry)
    succeeded(await client.headVersion('team/app', 'v1'))
    succeeded(await client.headVersion('team/app', 'v1'))
    const asked = registry.requests.filter(({ url }) => url.startsWith(REALM)).map(({ url }) => new URL(url))
    expect(asked.map(({ searchParams }) => Object.fromEntries(searchParams))).toEqual([
      { service: 'registry.example.com', scope: 'repository:team/app:pull' },
    ])
  })

  it('are renewed before they end, and once when the registry refuses one', async () => {
    const registry = aRegistry({ auth: 'bearer' })
    await anImage(registry, 'linux/amd64', 'v1')
    const client = openClient(registry)
    succeeded(await client.headVersion('team/app', 'v1'))
    registry.clock += 295_000
    succeeded(await client.headVersion('team/app', 'v1'))
    registry.tokens.clear()
    succeeded(await client.headVersion('team/app', 'v1'))
    expect(registry.requests.filter(({ url }) => url.startsWith(REALM))).toHaveLength(3)
  })

  it('that are refused again end in an error, not in a loop and not in anonymous access', async () => {
    const registry = aRegistry({ auth: 'bearer', allowed: [] })
    await anImage(registry, 'linux/amd64', 'v1')
    expect(kindOf(await openClient(registry, { credentials: USER }).headVersion('team/app', 'v1'))).toBe(
      'forbidden',
    )
    expect(kindOf(await openClient(registry).headVersion('team/app', 'v1'))).toBe('credentials_required')
    expect(registry.requests.length).toBeLessThan(16)
  })

  it('are never had without the credentials when those fail', async () => {
    const registry = aRegistry({ auth: 'bearer' })
    await anImage(registry, 'linux/amd64', 'v1')
    expect(kindOf(await openClient(registry, { credentials: WRONG }).headVersion('team/app', 'v1'))).toBe(
      'unauthorized',
    )
    const toRealm = registry.requests.filter(({ url }) => url.startsWith(REALM))
    expect(toRealm.map(({ authorization }) => authorization === null)).toEqual([false])
  })

  it('carry the password to the token server alone, never to the registry', async () => {
    const registry = aRegistry({ auth: 'bearer' })
    await anImage(registry, 'linux/amd64', 'v1')
    const client = openClient(registry, { credentials: USER })
    succeeded(await client.probe())
    succeeded(await client.headVersion('team/app', 'v1'))
    for (const { url, authorization } of registry.requests) {
      if (!url.startsWith(REALM)) expect(authorization ?? 'Bearer').toMatch(/^Bearer/)
    }
  })

  it.each([
    ['http://auth.example.com/token', 'invalid_reply'],
    ['https://169.254.169.254/token', 'invalid_reply'],
    ['https://user@auth.example.com/token', 'invalid_reply'],
    ['https://10.0.0.1/token', 'address_refused'],
    ['https://localhost/token', 'address_refused'],
    ['/token', 'invalid_reply'],
  ])('are not asked for at %s', async (realm, kind) => {
    const registry = aRegistry({ auth: 'bearer', realm })
    expect(kindOf(await openClient(registry, { credentials: USER }).probe())).toBe(kind)
    expect(registry.requests.map(({ authorization }) => authorization)).toEqual([null])
  })

  it('may come over http from an insecure registry', async () => {
    const registry = aRegistry({ auth: 'bearer', realm: 'http://auth.example.com/token' })
    expect(kindOf(await openClient(registry, { insecure: true, credentials: USER }).probe())).toBe('ok')
  })

  it.each([
    ['HTML', () => new Response('<html>'), 'invalid_reply'],
    ['no token', () => Response.json({ expires_in: 5 }), 'invalid_reply'],
    ['a token with a line end', () => Response.json({ token: 'a\r\nX: y' }), 'invalid_reply'],
    ['403', () => new Response('', { status: 403 }), 'unauthorized'],
    ['404', () => new Response('', { status: 404 }), 'invalid_reply'],
    ['429', () => new Response('', { status: 429 }), 'rate_limited'],
    ['502', () => new Response('', { status: 502 }), 'server_error'],
    ['too much', () => new Response('x'.repeat(300_000)), 'invalid_reply'],
  ])('server that answers with %s is an error of its own', async (_, make, kind) => {
    const registry = aRegistry({
      auth: 'bearer',
      intercept: (request) => (request.url.startsWith(REALM) ? make() : null),
    })
    expect(kindOf(await openClient(registry, { credentials: USER }).probe())).toBe(kind)
  })

  it('are taken as access_token too', async () => {
    const registry = aRegistry({
      auth: 'bearer',
      intercept: (request) => (request.url.startsWith(REALM) ? Response.json({ access_token: 'abc' }) : null),
    })
    registry.tokens.set('abc', { scope: '', until: Number.MAX_SAFE_INTEGER })
    expect(kindOf(await openClient(registry).probe())).toBe('ok')
  })
})

describe('credentials for a pull', () => {
  it('are the stored ones, or none', async () => {
    expect(
      succeeded(await openClient(aRegistry(), { credentials: USER }).pullCredentials('team/app')),
    ).toEqual(USER)
    expect(succeeded(await openClient(aRegistry()).pullCredentials('team/app'))).toBe(null)
  })
})
