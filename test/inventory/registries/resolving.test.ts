import { describe, expect, it } from 'vitest'
import { always, kindOf, openClient, succeeded } from './client.ts'
import { aRegistry, push, USER } from './fake-registry.ts'
import { anImage, anIndex, OCI_INDEX, OCI_MANIFEST } from './images.ts'

describe('an image', () => {
  it('is found by tag and by digest', async () => {
    const registry = aRegistry()
    const { digest } = await anIndex(registry, ['linux/amd64'], 'v1')
    expect(succeeded(await openClient(registry).headVersion('team/app', 'v1'))).toEqual({
      digest,
      mediaType: OCI_INDEX,
    })
    expect(succeeded(await openClient(registry).headVersion('team/app', digest))).toEqual({
      digest,
      mediaType: OCI_INDEX,
    })
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD'])
  })

  it('gets its digest from the bytes where HEAD does not say it or is not known', async () => {
    const registry = aRegistry({ headSaysDigest: false })
    const { digest } = await anIndex(registry, ['linux/amd64'], 'v1')
    expect(succeeded(await openClient(registry).headVersion('team/app', 'v1')).digest).toBe(digest)
    registry.intercept = (request) => (request.method === 'HEAD' ? new Response(null, { status: 405 }) : null)
    expect(succeeded(await openClient(registry).headVersion('team/app', 'v1')).digest).toBe(digest)
  })

  it('that is missing is not_found', async () => {
    const registry = aRegistry()
    await anImage(registry, 'linux/amd64', 'v1')
    expect(kindOf(await openClient(registry).headVersion('team/app', 'v2'))).toBe('not_found')
    expect(kindOf(await openClient(registry).resolveImage('team/app', 'v2', null))).toBe('not_found')
    expect(kindOf(await openClient(registry).resolveImage('team/other', 'v1', null))).toBe('not_found')
  })

  it('of many platforms is resolved to the one asked for, or to linux/amd64', async () => {
    const registry = aRegistry()
    const { digest, manifests } = await anIndex(
      registry,
      ['linux/arm64/v8', 'linux/amd64', 'linux/arm/v7'],
      'v1',
    )
    const platforms = ['linux/arm64', 'linux/amd64', 'linux/arm/v7']
    const resolve = (platform: string | null) => openClient(registry).resolveImage('team/app', 'v1', platform)
    const at = (position: number) => ({
      indexDigest: digest,
      digest: manifests[position],
      platform: platforms[position],
      platforms,
    })
    expect(succeeded(await resolve(null))).toEqual(at(1))
    expect(succeeded(await resolve('linux/arm64'))).toEqual(at(0))
    expect(succeeded(await resolve('linux/arm64/v8'))).toEqual(at(0))
    expect(succeeded(await resolve('linux/arm'))).toEqual(at(2))
    expect(await resolve('linux/s390x')).toEqual({
      ok: false,
      error: { kind: 'platform_not_found', available: platforms },
    })
  })

  it('without linux/amd64 is the only one there is, or platform_not_found among several', async () => {
    const registry = aRegistry()
    await anIndex(registry, ['linux/arm64'], 'one')
    await anIndex(registry, ['linux/arm64', 'linux/s390x'], 'two')
    expect(succeeded(await openClient(registry).resolveImage('team/app', 'one', null)).platform).toBe(
      'linux/arm64',
    )
    expect(kindOf(await openClient(registry).resolveImage('team/app', 'two', null))).toBe(
      'platform_not_found',
    )
  })

  it('is never an attestation', async () => {
    const registry = aRegistry()
    const digest = `sha256:${'b'.repeat(64)}`
    const extra = [
      { mediaType: OCI_MANIFEST, digest, platform: { os: 'unknown', architecture: 'unknown' } },
      {
        mediaType: OCI_MANIFEST,
        digest,
        platform: { os: 'linux', architecture: 'amd64' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      },
    ]
    const { manifests } = await anIndex(registry, ['linux/arm64'], 'v1', extra)
    const resolved = succeeded(await openClient(registry).resolveImage('team/app', 'v1', null))
    expect(resolved).toMatchObject({ digest: manifests[0], platforms: ['linux/arm64'] })
  })

  it('without an index has the platform of its configuration', async () => {
    const registry = aRegistry()
    const digest = await anImage(registry, 'linux/arm64/v8', 'v1')
    const resolve = (platform: string | null) => openClient(registry).resolveImage('team/app', 'v1', platform)
    const expected = { indexDigest: null, digest, platform: 'linux/arm64', platforms: ['linux/arm64'] }
    expect(succeeded(await resolve(null))).toEqual(expected)
    expect(kindOf(await resolve('linux/amd64'))).toBe('platform_not_found')
  })

  it('reads its configuration from another host without the credentials', async () => {
    const registry = aRegistry({ auth: 'basic' })
    await anImage(registry, 'linux/amd64', 'v1')
    registry.intercept = (request) => {
      const url = new URL(request.url)
      if (url.host === 'cdn.example') return new Response(registry.blobs.get(url.pathname.slice(1))!.bytes)
      const digest = /\/blobs\/(.*)$/.exec(url.pathname)?.[1]
      return digest
        ? new Response('', { status: 307, headers: { location: `https://cdn.example/${digest}` } })
        : null
    }
    expect(
      kindOf(await openClient(registry, { credentials: USER }).resolveImage('team/app', 'v1', null)),
    ).toBe('ok')
    expect(registry.requests.at(-1)).toMatchObject({
      authorization: null,
      url: expect.stringMatching(/^https:\/\/cdn/),
    })
  })

  it('whose bytes are not those of its digest is corrupt', async () => {
    const registry = aRegistry()
    const digest = await anImage(registry, 'linux/amd64', 'v1')
    registry.blobs.get(digest)!.bytes = new Uint8Array(new TextEncoder().encode('{"schemaVersion":2}'))
    expect(kindOf(await openClient(registry).resolveImage('team/app', digest, null))).toBe('corrupt')
    const manifest = await anImage(registry, 'linux/s390x', 'v2')
    const { config } = JSON.parse(new TextDecoder().decode(registry.blobs.get(manifest)!.bytes))
    const forged = JSON.stringify({ os: 'linux', architecture: 'amd64' })
    registry.blobs.get(config.digest)!.bytes = new Uint8Array(new TextEncoder().encode(forged))
    expect(kindOf(await openClient(registry).resolveImage('team/app', 'v2', null))).toBe('corrupt')
    const other = `sha256:${'c'.repeat(64)}`
    const lying = always(() => new Response(null, { headers: { 'docker-content-digest': other } }))
    expect(kindOf(await openClient(lying).headVersion('team/app', digest))).toBe('corrupt')
  })

  it.each([
    [
      'a chart',
      {
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', digest: `sha256:${'d'.repeat(64)}` },
      },
      'unsupported_image',
    ],
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, 'unsupported_image'],
    ['nothing known', { schemaVersion: 2 }, 'unsupported_image'],
    ['an empty index', { schemaVersion: 2, manifests: [] }, 'platform_not_found'],
    [
      'a digest that is none',
      {
        schemaVersion: 2,
        manifests: [{ digest: '../../x', platform: { os: 'linux', architecture: 'amd64' } }],
      },
      'invalid_reply',
    ],
    ['no document', ['x'], 'invalid_reply'],
  ])('that is %s is %s', async (_, document, kind) => {
    const registry = aRegistry()
    await push(registry, document, { tag: 'v1', type: OCI_MANIFEST })
    expect(kindOf(await openClient(registry).resolveImage('team/app', 'v1', null))).toBe(kind)
  })
})
