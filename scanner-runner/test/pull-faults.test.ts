import { gzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { anImage, digestOf } from './support/image.ts'
import { failure, IMPATIENT, pull, registryOf } from './support/pulling.ts'
import { aRegistry } from './support/registry.ts'

const CANARY = 'canary-Passw0rd'

vi.setConfig({ testTimeout: 30_000 }) // generous: other work may keep the machine busy

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
