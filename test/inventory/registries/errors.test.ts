import { describe, expect, it } from 'vitest'
import { type RegistryError, registryReason } from '../../../src/inventory/registries/errors.ts'
import { always, openClient } from './client.ts'

describe('an error of a registry', () => {
  it('says how long to wait, in seconds or by date, within a day', async () => {
    const wait = async (text: string) => {
      const registry = always(() => new Response('', { status: 429, headers: { 'retry-after': text } }))
      const outcome = await openClient(registry).probe()
      return !outcome.ok && outcome.error.kind === 'rate_limited'
        ? outcome.error.retryAfterSeconds
        : 'another error'
    }
    expect(await wait('120')).toBe(120)
    expect(await wait('999999999')).toBe(86_400)
    expect(await wait(new Date(1_700_000_000_000 + 90_000).toUTCString())).toBe(90)
    expect(await wait('soon')).toBe(null)
  })

  it('repeats nothing that the registry said, nor the credentials', async () => {
    const said = { 'www-authenticate': 'Basic realm="canary"' }
    for (const status of [400, 401, 403, 404, 429, 500]) {
      const registry = always(() =>
        Response.json({ errors: [{ message: 'canary' }] }, { status, headers: said }),
      )
      const client = openClient(registry, { credentials: { username: 'canary', password: 'canary' } })
      const outcomes = [
        await client.probe(),
        await client.listRepositories(),
        await client.resolveImage('a', 'b', null),
      ]
      expect(outcomes.map((outcome) => outcome.ok)).toEqual([false, false, false])
      expect(JSON.stringify(outcomes)).not.toContain('canary')
    }
  })

  it.each<[RegistryError, string]>([
    [{ kind: 'unauthorized' }, 'registry_unauthorized'],
    [{ kind: 'forbidden' }, 'registry_forbidden'],
    [{ kind: 'not_found' }, 'image_not_found'],
    [{ kind: 'timeout' }, 'registry_unreachable'],
    [{ kind: 'rate_limited', retryAfterSeconds: 5 }, 'registry_rate_limited'],
    [{ kind: 'server_error', status: 502, retryAfterSeconds: null }, 'registry_error'],
    [{ kind: 'invalid_reply', message: 'x' }, 'registry_invalid_reply'],
    [{ kind: 'platform_not_found', available: ['linux/arm64'] }, 'platform_not_found'],
  ])('%j is the scan reason %s', (error, code) => {
    expect(registryReason(error).code).toBe(code)
  })
})
