import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { parseImageReference } from '../src/pull/image-reference.ts'
import { anImage, anIndex, digestOf } from './support/image.ts'
import { failure, pull, registryOf } from './support/pulling.ts'

vi.setConfig({ testTimeout: 30_000 }) // generous: other work may keep the machine busy

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
