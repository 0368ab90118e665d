import { describe, expect, it } from 'vitest'
import { always, kindOf, openClient, succeeded } from './client.ts'
import { aRegistry, type FakeRegistry, USER } from './fake-registry.ts'
import { anImage } from './images.ts'

describe('a listing', () => {
  const stocked = (count: number, changes: Partial<FakeRegistry> = {}) => {
    const registry = aRegistry(changes)
    for (let i = 0; i < count; i++) registry.repositories.set(`team/app-${i}`, new Map([['v1', 'x']]))
    return registry
  }

  it.each([
    ['relative', (path: string) => path],
    ['absolute', (path: string) => `https://registry.example.com${path}`],
    ['of another scheme, behind a proxy', (path: string) => `http://registry.example.com${path}`],
    ['without its path', (path: string) => path.slice(path.indexOf('?'))],
  ])('follows links that are %s', async (_, link) => {
    const page = succeeded(await openClient(stocked(250, { link })).listRepositories())
    expect(page.items).toHaveLength(250)
    expect(page.next).toBe(null)
  })

  it('refuses a link to another host and calls nobody there', async () => {
    const registry = stocked(250, { link: (path) => `https://evil.example${path}` })
    expect(kindOf(await openClient(registry).listRepositories())).toBe('invalid_reply')
    expect(registry.requests.some(({ url }) => url.includes('evil'))).toBe(false)
  })

  it('stops after its pages and goes on at the cursor, also in a later client', async () => {
    const registry = stocked(450)
    const first = succeeded(await openClient(registry).listRepositories({ maxPages: 2 }))
    expect(first.items).toHaveLength(200)
    const rest = succeeded(await openClient(registry).listRepositories({ cursor: first.next }))
    expect(rest.next).toBe(null)
    expect(new Set([...first.items, ...rest.items]).size).toBe(450)
  })

  it('ends when a registry leads in circles', async () => {
    const circle = always(() =>
      Response.json({ repositories: ['a'] }, { headers: { link: '</v2/_catalog?n=100>; rel="next"' } }),
    )
    expect(kindOf(await openClient(circle).listRepositories())).toBe('invalid_reply')
    expect(circle.requests).toHaveLength(1)
  })

  it('ends at its pages when a registry invents new ones for ever', async () => {
    let number = 0
    const endless = always(() =>
      Response.json(
        { repositories: ['a'] },
        { headers: { link: `</v2/_catalog?last=${number++}>; rel="next"` } },
      ),
    )
    const page = succeeded(await openClient(endless).listRepositories({ maxPages: 5 }))
    expect(endless.requests).toHaveLength(5)
    expect(page).toMatchObject({ items: ['a'], next: 'last=4' })
  })

  it('refuses a cursor that is none', async () => {
    const registry = stocked(1)
    expect(kindOf(await openClient(registry).listRepositories({ cursor: 'a b' }))).toBe('invalid_reply')
    expect(kindOf(await openClient(registry).listRepositories({ cursor: '#@evil' }))).toBe('invalid_reply')
    expect(registry.requests).toEqual([])
  })

  it('leaves out names that are none and counts them', async () => {
    const hostile = always(() =>
      Response.json({ repositories: ['good', '../etc', 'Bad', '$(id)', 'a'.repeat(300)] }),
    )
    expect(succeeded(await openClient(hostile).listRepositories())).toEqual({
      items: ['good'],
      next: null,
      skipped: 4,
    })
  })

  it('lists tags, none for a repository without any, not_found for one that is not there', async () => {
    const registry = aRegistry({ auth: 'bearer' })
    await anImage(registry, 'linux/amd64', 'v1')
    registry.repositories.set('empty', new Map())
    const client = openClient(registry, { credentials: USER })
    expect(succeeded(await client.listTags('team/app')).items).toEqual(['v1'])
    expect(succeeded(await client.listTags('empty')).items).toEqual([])
    expect(kindOf(await client.listTags('missing'))).toBe('not_found')
    const nothing = always(() => Response.json({ name: 'x', tags: null }))
    expect(succeeded(await openClient(nothing).listTags('x')).items).toEqual([])
  })

  it.each([
    ['HTML', () => new Response('<html>hello</html>'), 'invalid_reply'],
    ['another shape', () => Response.json({ repositories: { a: 1 } }), 'invalid_reply'],
    ['another type', () => Response.json({ repositories: [1] }), 'invalid_reply'],
    ['half a document', () => new Response('{"repositories":["a"'), 'invalid_reply'],
    ['too much', () => new Response(' '.repeat(3_000_000)), 'too_large'],
    ['404', () => new Response('', { status: 404 }), 'catalogue_unsupported'],
    ['405', () => new Response('', { status: 405 }), 'catalogue_unsupported'],
    ['403', () => new Response('', { status: 403 }), 'forbidden'],
    ['400', () => new Response('', { status: 400 }), 'unexpected_status'],
  ])('of %s is an error of its own', async (_, make, kind) => {
    expect(kindOf(await openClient(always(make)).listRepositories())).toBe(kind)
  })
})
