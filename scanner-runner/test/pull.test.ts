import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parseImageReference } from '../src/pull/image-reference.ts'
import { type PulledImage, type PullRequest, pullImage } from '../src/pull/pull-image.ts'
import { aDirectory } from './support/directory.ts'
import { anImage, anIndex, digestOf } from './support/image.ts'
import { aRegistry, type Registry } from './support/registry.ts'
import { SELF_SIGNED } from './support/self-signed.ts'

const CANARY = 'canary-Passw0rd'
const POLICY = { allowPrivateNetworks: true, insecure: true, idleMs: 10_000 }
const IMPATIENT = { ...POLICY, idleMs: 300 }

vi.setConfig({ testTimeout: 30_000 }) // generous: other work may keep the machine busy

async function registryOf(tls?: typeof SELF_SIGNED): Promise<Registry> {
  const registry = await aRegistry(tls)
  onTestFinished(() => registry.close())
  return registry
}

async function pull(
  ref: string,
  over: Partial<PullRequest> = {},
): Promise<PulledImage & { layoutDir: string }> {
  const layoutDir = join(await aDirectory(), 'image')
  const image = await pullImage({
    reference: parseImageReference(ref),
    credentials: null,
    digest: null,
    indexDigest: null,
    platform: 'linux/amd64',
    policy: POLICY,
    signal: new AbortController().signal,
    retryMs: 1,
    layoutDir,
    maxImageBytes: 10_000_000,
    maxUnpackedBytes: 10_000_000,
    onProgress: () => {},
    ...over,
  })
  return { ...image, layoutDir }
}

const failure = (pulling: Promise<unknown>) =>
  pulling.then(
    () => 'pulled',
    (error: { code?: string }) => error.code ?? String(error),
  )

describe('a pull', () => {
  it('writes an OCI layout that holds exactly one image, and says what it is', async () => {
    const registry = await registryOf()
    const image = anImage()
    registry.add(image, '1.0')
    const pulled = await pull(`${registry.host}/team/app:1.0`)
    expect(pulled).toMatchObject({
      indexDigest: null,
      digest: image.manifest.digest,
      configDigest: image.config.digest,
      platform: 'linux/amd64',
      sizeBytes: image.layers.reduce((sum, { size }) => sum + size, 0),
      layers: [{ digest: image.layers[0]?.digest, command: 'RUN step 0' }, { command: 'RUN step 1' }],
    })
    const index = JSON.parse(await readFile(join(pulled.layoutDir, 'index.json'), 'utf8'))
    expect(index.manifests).toHaveLength(1)
    const names = await readdir(join(pulled.layoutDir, 'blobs', 'sha256'))
    expect(names.sort()).toEqual([image.manifest, ...image.blobs].map(({ digest }) => digest.slice(7)).sort())
    for (const name of names)
      expect(digestOf(await readFile(join(pulled.layoutDir, 'blobs', 'sha256', name)))).toBe(`sha256:${name}`)
  })

  it('reports its bytes as they arrive, up to the whole', async () => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    const seen: [number, number][] = []
    const { sizeBytes } = await pull(`${registry.host}/a:1`, {
      onProgress: (...pair) => void seen.push(pair),
    })
    expect(seen.at(-1)).toEqual([sizeBytes, sizeBytes])
  })

  it('fetches a layer that occurs twice once', async () => {
    const registry = await registryOf()
    registry.add(anImage({ contents: [Buffer.from('same'), Buffer.from('same')] }), '1')
    expect((await pull(`${registry.host}/a:1`)).layers).toHaveLength(2)
    expect(registry.asked.filter(({ path }) => path.includes('/blobs/'))).toHaveLength(2)
  })

  it.each([
    ['no compression', (content: Buffer) => content, 'application/vnd.oci.image.layer.v1.tar'],
    ['zstd', (content: Buffer) => zstdCompressSync(content), 'application/vnd.oci.image.layer.v1.tar+zstd'],
    [
      'docker gzip',
      (content: Buffer) => gzipSync(content),
      'application/vnd.docker.image.rootfs.diff.tar.gzip',
    ],
  ])('reads layers with %s', async (_name, pack, layerType) => {
    const registry = await registryOf()
    registry.add(anImage({ pack, layerType }), '1')
    expect((await pull(`${registry.host}/a:1`)).layers).toHaveLength(2)
  })

  it('reads docker manifests of schema 2', async () => {
    const registry = await registryOf()
    const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
    registry.add(anImage({ manifestType, configType: 'application/vnd.docker.container.image.v1+json' }), '1')
    expect((await pull(`${registry.host}/a:1`)).platform).toBe('linux/amd64')
  })
})

describe('the platform', () => {
  const amd64 = anImage({ contents: [Buffer.from('amd64')] })
  const arm64 = anImage({ architecture: 'arm64', variant: 'v8', contents: [Buffer.from('arm64')] })
  const attestation = anImage({ contents: [Buffer.from('attestation')] })
  const entries = {
    amd64: { blob: amd64.manifest, platform: { os: 'linux', architecture: 'amd64' } },
    arm64: { blob: arm64.manifest, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    attestation: {
      blob: attestation.manifest,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  }

  async function indexed(names: (keyof typeof entries)[], platform: string) {
    const registry = await registryOf()
    const index = anIndex(names.map((name) => entries[name]))
    for (const image of [amd64, arm64, attestation]) registry.add(image)
    registry.addManifest(index, '1')
    return { index, pulling: pull(`${registry.host}/a:1`, { platform }) }
  }

  it.each([
    ['linux/amd64', amd64],
    ['linux/arm64', arm64],
    ['linux/arm64/v8', arm64],
  ])('%s is chosen from an index', async (platform, image) => {
    const { index, pulling } = await indexed(['attestation', 'amd64', 'arm64'], platform)
    expect(await pulling).toMatchObject({ digest: image.manifest.digest, indexDigest: index.digest })
  })

  it('is the only one there is where the default is not there', async () => {
    const { pulling } = await indexed(['arm64', 'attestation'], 'linux/amd64')
    expect(await pulling).toMatchObject({ digest: arm64.manifest.digest, platform: 'linux/arm64' })
  })

  it.each([
    ['linux/s390x', ['amd64', 'arm64']],
    ['linux/s390x', ['amd64']],
    ['linux/amd64', ['attestation']],
  ] as const)('%s that an index of %j does not have is platform_not_found', async (platform, names) => {
    const { pulling } = await indexed([...names], platform)
    expect(await failure(pulling)).toBe('platform_not_found')
  })

  it.each([
    ['linux/arm/v6', undefined, 'linux/arm/v6'],
    ['linux/arm', undefined, 'linux/arm/v7'],
    ['linux/arm/v7', 'v7', 'linux/arm/v7'],
    ['linux/arm/v7', 'v6', 'platform_not_found'],
  ])('%s of a configuration with variant %s is %s', async (platform, variant, outcome) => {
    const registry = await registryOf()
    registry.add(anImage({ architecture: 'arm', variant }), '1')
    const pulling = pull(`${registry.host}/a:1`, { platform })
    expect(
      await pulling.then(
        (image) => image.platform,
        (error) => error.code,
      ),
    ).toBe(outcome)
  })

  it('of a single manifest is held to what was asked for explicitly', async () => {
    const registry = await registryOf()
    registry.add(amd64, '1')
    expect(await failure(pull(`${registry.host}/a:1`, { platform: 'linux/arm64' }))).toBe(
      'platform_not_found',
    )
  })

  it("follows the job's digest, not the tag", async () => {
    const registry = await registryOf()
    registry.add(amd64, '1')
    registry.add(arm64)
    const indexDigest = `sha256:${'1'.repeat(64)}`
    const pulled = await pull(`${registry.host}/a:1`, { digest: arm64.manifest.digest, indexDigest })
    expect(pulled).toMatchObject({ digest: arm64.manifest.digest, indexDigest })
  })
})

describe('what a registry does wrong', () => {
  const image = anImage()
  const layer = image.layers[1]!
  const isLayer = (url = '') => url.endsWith(layer.digest)
  const flipped = Buffer.from(layer.bytes)
  flipped[100] = flipped[100]! ^ 0xff

  it.each([
    ['a layer with a flipped byte', 'image_corrupt', flipped],
    ['a layer that is too short', 'image_corrupt', layer.bytes.subarray(0, 100)],
    ['a layer that is too long', 'image_corrupt', Buffer.concat([layer.bytes, Buffer.alloc(9)])],
  ])('%s is %s, after a bounded number of tries', async (_what, code, bytes) => {
    const registry = await registryOf()
    registry.add(image, '1')
    let served = 0
    registry.intercept = ({ url }, response) => {
      if (!isLayer(url)) return false
      served += 1
      response.writeHead(200).end(bytes)
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`))).toBe(code)
    expect(served).toBe(3)
  })

  it.each(['flipped', 'cut', 'stalled', 'answered 500'])(
    'a layer that is %s once is fetched again',
    async (fault) => {
      const registry = await registryOf()
      registry.add(image, '1')
      let served = 0
      registry.intercept = ({ url }, response) => {
        if (!isLayer(url) || ++served > 1) return false
        if (fault === 'answered 500') response.writeHead(500).end('boom')
        else if (fault === 'flipped') response.writeHead(200).end(flipped)
        else {
          response.writeHead(200, { 'content-length': layer.size })
          response.write(layer.bytes.subarray(0, 50), () => {
            if (fault === 'cut') response.destroy()
          })
        }
        return true
      }
      const progress: number[] = []
      const { sizeBytes } = await pull(`${registry.host}/a:1`, {
        onProgress: (bytes) => void progress.push(bytes),
        policy: IMPATIENT,
      })
      expect(served).toBe(2)
      expect(progress.at(-1)).toBe(sizeBytes)
    },
  )

  it('a layer that does not unpack, or not to its diff id, is image_corrupt although its digest is right', async () => {
    const registry = await registryOf()
    registry.add(
      anImage({ pack: (content) => Buffer.concat([gzipSync(content).subarray(0, 20), content]) }),
      '1',
    )
    const configure = (config: Record<string, unknown>) => {
      config.rootfs = { diff_ids: [digestOf(Buffer.from('a')), digestOf(Buffer.from('b'))] }
    }
    registry.add(anImage({ configure }), '2')
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('image_corrupt')
    expect(await failure(pull(`${registry.host}/a:2`))).toBe('image_corrupt')
  })

  it('a truncated gzip stream is image_corrupt although its digest is right', async () => {
    const registry = await registryOf()
    registry.add(anImage({ pack: (content) => gzipSync(content).subarray(0, -4) }), '1')
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('image_corrupt')
  })

  it('a manifest that is not the one asked for is image_corrupt', async () => {
    const registry = await registryOf()
    registry.add(image)
    const other = anImage({ contents: [Buffer.from('other')] })
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(200, { 'content-type': other.manifest.mediaType }).end(other.manifest.bytes)
      return true
    }
    expect(await failure(pull(`${registry.host}/a@${image.manifest.digest}`))).toBe('image_corrupt')
  })

  it('a manifest that is cut short once is fetched again', async () => {
    const registry = await registryOf()
    registry.add(image, '1')
    let served = 0
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/') || ++served > 1) return false
      response.writeHead(200, { 'content-length': 1000 }).write('{', () => response.destroy())
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('pulled')
  })

  it.each([
    [404, 'image_not_found'],
    [403, 'registry_forbidden'],
    [418, 'registry_error'],
    [500, 'registry_error'],
    [503, 'registry_error'],
  ])('%i on the manifest is %s', async (status, code) => {
    const registry = await registryOf()
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(status).end(`<html>${CANARY}</html>`)
      return true
    }
    const error = await pull(`${registry.host}/a:1`).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code })
    expect(String(error)).not.toContain(CANARY)
  })

  it('429 is registry_rate_limited, at once when it asks to wait for long', async () => {
    const registry = await registryOf()
    let retryAfter = '0'
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(429, { 'retry-after': retryAfter }).end()
      return true
    }
    const asked = () => registry.asked.filter(({ path }) => path.includes('/manifests/')).length
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('registry_rate_limited')
    expect(asked()).toBe(3)
    retryAfter = '3600'
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('registry_rate_limited')
    expect(asked()).toBe(4)
  })

  it.each([
    ['HTML', 'text/html', '<html>login</html>', 'registry_invalid_reply'],
    ['a list', 'application/json', '[]', 'registry_invalid_reply'],
    [
      'schema 1',
      'application/vnd.docker.distribution.manifest.v1+json',
      '{"schemaVersion":1}',
      'image_unsupported',
    ],
    ['another artifact', image.manifest.mediaType, chart(), 'image_unsupported'],
    ['a foreign layer', image.manifest.mediaType, foreign(), 'image_unsupported'],
  ])('%s instead of a manifest is refused (%s)', async (_what, type, body, code) => {
    const registry = await registryOf()
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/manifests/')) return false
      response.writeHead(200, { 'content-type': type }).end(body)
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`))).toBe(code)
  })

  it('a registry that is down or unknown is registry_unreachable', async () => {
    const registry = await aRegistry()
    await registry.close()
    expect(await failure(pull(`${registry.host}/a:1`))).toBe('registry_unreachable')
    expect(await failure(pull('no-such-host.invalid/a:1'))).toBe('registry_unreachable')
  })

  it('a registry that never answers is registry_unreachable within the idle time', async () => {
    const registry = await registryOf()
    registry.intercept = ({ url }) => url?.includes('/manifests/') ?? false
    expect(await failure(pull(`${registry.host}/a:1`, { policy: IMPATIENT }))).toBe('registry_unreachable')
  })
})

const chart = () => anImage({ configType: 'application/vnd.cncf.helm.config.v1+json' }).manifest.bytes
const foreign = () =>
  anImage({ layerType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' }).manifest.bytes

describe('the bounds', () => {
  it('refuse an image whose layers are too large before fetching any', async () => {
    const registry = await registryOf()
    registry.add(anImage(), '1')
    expect(await failure(pull(`${registry.host}/a:1`, { maxImageBytes: 100 }))).toBe('image_too_large')
    expect(registry.asked.some(({ path }) => path.includes('/blobs/'))).toBe(false)
  })

  it('stop a layer that unpacks to more than is allowed', async () => {
    const registry = await registryOf()
    registry.add(anImage({ contents: [Buffer.alloc(5_000_000)] }), '1')
    expect(await failure(pull(`${registry.host}/a:1`, { maxUnpackedBytes: 1_000_000 }))).toBe(
      'image_too_large',
    )
  })

  it('end a pull that is aborted, and what runs beside it', async () => {
    const registry = await registryOf()
    const image = anImage()
    registry.add(image, '1')
    const controller = new AbortController()
    registry.intercept = ({ url }, response) => {
      if (!url?.includes('/blobs/') || url.endsWith(image.config.digest)) return false
      response.writeHead(200).write('x', () => controller.abort())
      return true
    }
    expect(await failure(pull(`${registry.host}/a:1`, { signal: controller.signal }))).not.toBe('pulled')
  })
})

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

describe('an image reference', () => {
  it.each([
    ['docker.io/library/nginx:latest', 'registry-1.docker.io', 'library/nginx', 'latest', null],
    ['Registry.Example:5000/a/b__c-d:1', 'registry.example:5000', 'a/b__c-d', '1', null],
    [`r.io/a:1@sha256:${'a'.repeat(64)}`, 'r.io', 'a', '1', `sha256:${'a'.repeat(64)}`],
  ])('%s is read', (text, apiHost, repository, tag, digest) => {
    expect(parseImageReference(text)).toMatchObject({ apiHost, repository, tag, digest })
  })

  it.each([
    'nginx',
    'r.io/a',
    'https://r.io/a:1',
    'r.io/a:1;rm -rf /',
    'r.io/../a:1',
    'r.io/a b:1',
    'r.io/A:1',
    'u:p@r.io/a:1',
    'r.io/a@sha512:00',
    `r.io/${'a'.repeat(2000)}:1`,
  ])('%s is refused', (text) => {
    expect(() => parseImageReference(text)).toThrow()
  })
})
