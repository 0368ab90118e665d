import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { createApp } from '../../../src/app.ts'
import type { Env } from '../../../src/env.ts'
import { HOSTILE_URLS } from '../../net/hostile-urls.ts'
import { anOrganization } from '../../world.ts'
import { kindOf, openClient } from './client.ts'
import { type Answer, aRegistry, REGISTRY, USER } from './fake-registry.ts'

const MEGABYTE = 1024 * 1024
const json = (text: string, headers: Record<string, string> = {}): Response =>
  new Response(text, { headers: { 'content-type': 'application/json', ...headers } })

/** What a client says of a registry with this answer, and every host that it called. */
async function listed(intercept: Answer, credentials = USER) {
  const registry = aRegistry({ intercept })
  const client = openClient(registry, { credentials })
  const outcomes = [
    kindOf(await client.probe()),
    kindOf(await client.listRepositories({})),
    kindOf(await client.listTags('team/app', {})),
    kindOf(await client.headVersion('team/app', '1.0')),
  ]
  return { outcomes, hosts: [...new Set(registry.requests.map(({ url }) => new URL(url).host))], registry }
}

describe('A hostile registry', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const names = (count: number) => JSON.stringify(Array.from({ length: count }, (_, n) => `t${n}`))

  it.each([
    ['a page of a million names', () => json(`{"repositories":${names(1e6)},"tags":${names(1e6)}}`)],
    ['100,000 lists in each other', () => json(`{"repositories":${deep},"tags":${deep}}`)],
    ['names that are objects', () => json('{"repositories":[{}],"tags":[{"toString":1}]}')],
    ['a list where an object is', () => json('[]')],
    ['bytes that are no text', () => new Response(new Uint8Array([0xff, 0xfe, 0]))],
    ['20 MB of nothing', () => new Response(new Uint8Array(20 * MEGABYTE))],
    ['a redirect to a metadata service', () => Response.redirect('http://169.254.169.254/latest/', 307)],
    ['a redirect to a private name', () => Response.redirect('https://vault.internal/', 302)],
    ['a redirect to another port of itself', () => Response.redirect(`${REGISTRY}:22/`, 302)],
    ['a redirect to a rebinding name', () => Response.redirect('https://127.0.0.1.nip.io/', 308)],
  ] as const)('with %s is refused by the listing, and nobody else is called', async (_, make) => {
    const { outcomes, hosts } = await listed(make)
    expect(hosts).toEqual(['registry.example.com'])
    expect(outcomes.slice(1, 3).every((kind) => kind !== 'ok' && kind !== 'timeout')).toBe(true)
  })

  it.each([
    'Bearer',
    'Bearer realm=',
    'Bearer realm="',
    'Bearer realm="https://auth.example.com',
    'Bearer realm="http://169.254.169.254/token"',
    'Bearer realm="https://127.0.0.1/token",service="x"',
    'Bearer realm="https://metadata.google.internal/token"',
    'Bearer realm="https://registry.example.com@10.0.0.1/token"',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="https:\\\\10.0.0.1/"',
    `Bearer realm="https://${'a'.repeat(4000)}.example.com/"`,
    `Bearer ${'x="y",'.repeat(3000)}`,
    `Negotiate ${'"'.repeat(8000)}`,
    'Bearer realm="https://[::ffff:7f00:1]/"',
  ])('that challenges with %s calls nobody, and gets no password', async (challenge) => {
    const { outcomes, hosts, registry } = await listed(
      () => new Response('', { status: 401, headers: { 'www-authenticate': challenge } }),
    )
    expect(hosts).toEqual(['registry.example.com'])
    expect(outcomes).not.toContain('ok')
    expect(registry.requests.every(({ authorization }) => authorization === null)).toBe(true)
  })

  it.each([
    '<https://10.0.0.1/v2/_catalog?last=a>; rel="next"',
    '<//169.254.169.254/v2/_catalog?last=a>; rel=next',
    `<${REGISTRY.replace('https', 'http')}:6379/v2/x?last=a>; rel="next"`,
    `</v2/../../admin?last=a>; rel="next"`,
    '<'.repeat(8000),
    `</v2/_catalog?last=${'a'.repeat(7000)}>; rel="next"`,
  ])('that links to %s moves the listing to no other place', async (link) => {
    const { hosts, registry } = await listed(() => json('{"repositories":["a"],"tags":["b"]}', { link }))
    expect(hosts).toEqual(['registry.example.com'])
    const places = registry.requests
      .map(({ url }) => new URL(url))
      .map(({ origin, pathname }) => origin + pathname)
    const known = ['/v2/', '/v2/_catalog', '/v2/team/app/tags/list', '/v2/team/app/manifests/1.0']
    expect(places.filter((place) => !known.some((path) => place === REGISTRY + path))).toEqual([])
  })
})

describe('Where private networks are not allowed', () => {
  it('no address of one is taken, for a registry or a test of a connection', async () => {
    const ours = await anOrganization()
    const closed = { ...(env as unknown as Env), ALLOW_PRIVATE_NETWORKS: 'false' }
    const app = createApp()
    for (const [index, [url]] of HOSTILE_URLS.entries()) {
      // blanks around it and a missing scheme are forgiven to people
      if (url.trim() !== url || /^(?:\/\/)?registry|^http:/i.test(url)) continue
      for (const path of ['/api/registries', '/api/registries/test-connection']) {
        const body = { ...(path.endsWith('s') && { name: 'x' }), provider: 'CUSTOM', url }
        const execution = createExecutionContext()
        const headers = { 'Content-Type': 'application/json', 'CF-Connecting-IP': `2001:db8::${index}` }
        const request = new Request(`https://api.test${path}`, {
          method: 'POST',
          headers: { ...headers, Authorization: `Bearer ${ours.adminKey}` },
          body: JSON.stringify(body),
        })
        const reply = await app.fetch(request, closed, execution)
        await waitOnExecutionContext(execution)
        expect([url, reply.status, await reply.text()]).toEqual([url, 400, expect.stringContaining('"url"')])
      }
    }
    expect((await ours.get('/api/registries')).body.meta.total).toBe(0)
  })
})
