import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { writeAlpineImage } from '../../../dev/sample/image/alpine-image.ts'
import { writeSampleImage } from '../../../dev/sample/image/sample-image.ts'
import type { WrittenImage } from '../../../dev/sample/image/written-image.ts'
import {
  type SampleRegistry,
  type SampleRegistryOptions,
  serveLayouts,
} from '../../../dev/sample/registry.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

let work: string
let sample: WrittenImage
let repositories: SampleRegistryOptions['repositories']
let registry: SampleRegistry | null = null

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'sample-registry-'))
  sample = writeSampleImage(join(work, 'sample'))
  const alpine = writeAlpineImage(join(work, 'alpine'))
  const tags = { '1.0': sample.digest, '1.1': sample.digest, latest: sample.digest }
  repositories = {
    'team/sample': { layoutDir: sample.layoutDir, tags },
    'base/alpine': { layoutDir: alpine.layoutDir, tags: { '3.19': alpine.digest } },
  }
})
afterAll(() => rmSync(work, { recursive: true, force: true }))
afterEach(async () => {
  await registry?.close()
  registry = null
})

async function serve(auth?: SampleRegistryOptions['auth']): Promise<SampleRegistry> {
  registry = await serveLayouts({ repositories, auth })
  return registry
}
const sha256 = (bytes: ArrayBuffer) =>
  `sha256:${createHash('sha256').update(new Uint8Array(bytes)).digest('hex')}`
const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })

async function firstLayer({ url }: SampleRegistry): Promise<string> {
  const index = await (await fetch(`${url}/v2/team/sample/manifests/1.0`)).json()
  const manifest = await (await fetch(`${url}/v2/team/sample/manifests/${index.manifests[0].digest}`)).json()
  return `${url}/v2/team/sample/blobs/${manifest.layers[0].digest}`
}

describe('content', () => {
  it('answers a tag and its digest with the same index, typed and named', async () => {
    const { url } = await serve()
    for (const reference of ['1.0', sample.digest]) {
      const response = await fetch(`${url}/v2/team/sample/manifests/${reference}`)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toBe(INDEX)
      expect(response.headers.get('docker-content-digest')).toBe(sample.digest)
      expect(sha256(await response.arrayBuffer())).toBe(sample.digest)
    }
  })

  it('answers HEAD with the headers of GET and no body', async () => {
    const { url } = await serve()
    const get = await fetch(`${url}/v2/base/alpine/manifests/3.19`)
    const head = await fetch(`${url}/v2/base/alpine/manifests/3.19`, { method: 'HEAD' })
    for (const name of ['content-type', 'content-length', 'docker-content-digest']) {
      expect(head.headers.get(name)).toBe(get.headers.get(name))
    }
    expect(get.headers.get('content-type')).toBe(MANIFEST)
    expect((await head.arrayBuffer()).byteLength).toBe(0)
  })

  it('serves blobs whole, under their digest', async () => {
    const address = await firstLayer(await serve())
    const response = await fetch(address)
    const bytes = await response.arrayBuffer()
    expect(Number(response.headers.get('content-length'))).toBe(bytes.byteLength)
    expect(address.endsWith(sha256(bytes))).toBe(true)
    expect((await fetch(address, { method: 'HEAD' })).headers.get('content-length')).toBe(
      String(bytes.byteLength),
    )
  })

  it.each([
    ['/v2/team/sample/manifests/9.9', 'MANIFEST_UNKNOWN'],
    ['/v2/team/sample/manifests/__proto__', 'MANIFEST_UNKNOWN'],
    [`/v2/team/sample/blobs/sha256:${'0'.repeat(64)}`, 'BLOB_UNKNOWN'],
    ['/v2/team/sample/blobs/..%2f..%2findex.json', 'BLOB_UNKNOWN'],
    ['/v2/team/other/manifests/1.0', 'NAME_UNKNOWN'],
    ['/v2/constructor/tags/list', 'NAME_UNKNOWN'],
  ])('answers 404 to %s', async (path, code) => {
    const { url } = await serve()
    const response = await fetch(url + path)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ errors: [{ code }] })
  })

  it('never answers a layer as a manifest', async () => {
    const address = await firstLayer(await serve())
    expect((await fetch(address.replace('/blobs/', '/manifests/'))).status).toBe(404)
  })

  it('refuses to be written to', async () => {
    const { url } = await serve()
    expect((await fetch(`${url}/v2/team/sample/manifests/1.0`, { method: 'PUT', body: '{}' })).status).toBe(
      405,
    )
  })
})

describe('lists', () => {
  async function pages(start: string, member: 'repositories' | 'tags'): Promise<string[][]> {
    const { url } = await serve()
    const seen: string[][] = []
    for (let path: string | undefined = start; path && seen.length < 10; ) {
      const response: Response = await fetch(url + path)
      seen.push(((await response.json()) as Record<string, string[]>)[member]!)
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
    }
    return seen
  }

  it('gives the catalogue in pages that Link leads through', async () => {
    expect(await pages('/v2/_catalog?n=1', 'repositories')).toEqual([['base/alpine'], ['team/sample']])
  })

  it('gives tags in pages that Link leads through, the last one without a Link', async () => {
    expect(await pages('/v2/team/sample/tags/list?n=2', 'tags')).toEqual([['1.0', '1.1'], ['latest']])
  })

  it('gives everything at once without a page size', async () => {
    expect(await pages('/v2/team/sample/tags/list', 'tags')).toEqual([['1.0', '1.1', 'latest']])
  })
})

describe('Basic authentication', () => {
  it('challenges without credentials and with wrong ones, and lets the right ones in', async () => {
    const { url, requests } = await serve({ kind: 'basic', username: 'u', password: 'p:1' })
    for (const headers of [{}, basic('u:wrong'), basic('u')]) {
      const response = await fetch(`${url}/v2/`, { headers })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Basic realm=/)
    }
    expect((await fetch(`${url}/v2/`, { headers: basic('u:p:1') })).status).toBe(200)
    expect(requests.map(({ authorization }) => authorization)).toEqual([null, 'basic', 'basic', 'basic'])
  })
})

describe('Bearer authentication', () => {
  async function tokenFor(address: string, headers: Record<string, string> = {}): Promise<Response> {
    const challenge = (await fetch(address)).headers.get('www-authenticate') ?? ''
    const part = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? ''
    const query = new URLSearchParams({ service: part('service'), scope: part('scope') })
    return fetch(`${part('realm')}?${query}`, { headers })
  }

  it('gives a token for the scope of the challenge and accepts it there alone', async () => {
    const { url } = await serve({ kind: 'bearer' })
    const { token } = await (await tokenFor(`${url}/v2/team/sample/tags/list`)).json()
    const headers = { authorization: `Bearer ${token}` }
    expect((await fetch(`${url}/v2/team/sample/manifests/1.0`, { headers })).status).toBe(200)
    expect((await fetch(`${url}/v2/base/alpine/manifests/3.19`, { headers })).status).toBe(401)
    expect((await fetch(`${url}/v2/_catalog`, { headers })).status).toBe(401)
  })

  it('gives no token to wrong credentials, nor to none where it wants some', async () => {
    const { url } = await serve({ kind: 'bearer', username: 'u', password: 'p' })
    const address = `${url}/v2/team/sample/tags/list`
    expect((await tokenFor(address)).status).toBe(401)
    expect((await tokenFor(address, basic('u:wrong'))).status).toBe(401)
    expect((await tokenFor(address, basic('u:p'))).status).toBe(200)
  })
})

describe('faults', () => {
  it('answers with the status and Retry-After it is told, as often as it is told', async () => {
    const served = await serve()
    served.setFault({ kind: 'status', status: 429, retryAfterSeconds: 7, on: 'any', times: 1 })
    const response = await fetch(`${served.url}/v2/`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '7'])
    expect(await response.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] })
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200)
  })

  it('answers HTML with status 200', async () => {
    const served = await serve()
    served.setFault({ kind: 'html', on: 'manifests' })
    const response = await fetch(`${served.url}/v2/team/sample/manifests/1.0`)
    expect(response.headers.get('content-type')).toBe('text/html')
  })

  it('changes a byte of a blob and nothing of its length', async () => {
    const served = await serve()
    const address = await firstLayer(served)
    const whole = await (await fetch(address)).arrayBuffer()
    served.setFault({ kind: 'corrupt', on: 'blobs' })
    const damaged = await (await fetch(address)).arrayBuffer()
    expect(damaged.byteLength).toBe(whole.byteLength)
    expect(sha256(damaged)).not.toBe(sha256(whole))
  })

  it('ends a truncated blob before its stated length', async () => {
    const served = await serve()
    const address = await firstLayer(served)
    served.setFault({ kind: 'truncate', on: 'blobs' })
    await expect(fetch(address).then((response) => response.arrayBuffer())).rejects.toThrow()
  })

  it('states a digest that is not the content’s', async () => {
    const served = await serve()
    served.setFault({ kind: 'wrongDigestHeader', on: 'manifests' })
    const response = await fetch(`${served.url}/v2/team/sample/manifests/1.0`)
    expect(response.headers.get('docker-content-digest')).not.toBe(sample.digest)
    expect(sha256(await response.arrayBuffer())).toBe(sample.digest)
  })

  it('sends blobs elsewhere', async () => {
    const served = await serve()
    const address = await firstLayer(served)
    served.setFault({ kind: 'redirect', to: 'http://127.0.0.1:9', on: 'blobs' })
    const response = await fetch(address, { redirect: 'manual' })
    expect(response.status).toBe(307)
    expect(response.headers.get('location')).toBe(`http://127.0.0.1:9${new URL(address).pathname}`)
  })

  it('never answers a stalled request, and closing ends it', async () => {
    const served = await serve()
    served.setFault({ kind: 'stall', on: 'any' })
    const stalled = expect(fetch(`${served.url}/v2/`)).rejects.toThrow()
    await expect.poll(() => served.requests.length).toBe(1)
    await served.close()
    registry = null
    await stalled
  })

  it('heals', async () => {
    const served = await serve()
    served.setFault({ kind: 'status', status: 500, on: 'any' })
    expect((await fetch(`${served.url}/v2/`)).status).toBe(500)
    served.setFault(null)
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200)
  })
})
