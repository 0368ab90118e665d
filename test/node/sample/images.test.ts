import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeAlpineImage } from '../../../dev/sample/image/alpine-image.ts'
import { goBinary } from '../../../dev/sample/image/go-binary.ts'
import { minbaseRequirement } from '../../../dev/sample/image/minbase-image.ts'
import { writePythonOwnedImage } from '../../../dev/sample/image/python-owned-image.ts'
import { writeSampleImage } from '../../../dev/sample/image/sample-image.ts'
import { storedGzip } from '../../../dev/sample/image/stored-gzip.ts'
import { tarArchive } from '../../../dev/sample/image/tar.ts'
import { zipArchive } from '../../../dev/sample/image/zip.ts'

const IMAGES = [
  {
    write: writeSampleImage,
    digest: 'sha256:ad9b8099a2684f22f9564a32d18dda8292a52914083d6313b3c2ab166c4c01ce',
    platforms: ['linux/amd64', 'linux/arm64'],
  },
  {
    write: writeAlpineImage,
    digest: 'sha256:41f6b2393775fc7a7dadd5dac0b33bc86a2664f3858e811e026cf247c279c9fe',
    platforms: ['linux/amd64'],
  },
  {
    write: writePythonOwnedImage,
    digest: 'sha256:7926c474d488b3140f1cc05d3f32789bfd98a86ece5c75d92f92fe6eaddac6c0',
    platforms: ['linux/amd64'],
  },
]

interface Manifest {
  mediaType: string
  manifests?: { digest: string; size: number; platform?: { os: string; architecture: string } }[]
  config?: { digest: string; size: number }
  layers?: { digest: string; size: number }[]
}

let work: string
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'sample-images-'))
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

const readBlob = (layoutDir: string, digest: string) =>
  readFileSync(join(layoutDir, 'blobs/sha256', digest.slice('sha256:'.length)))
const readJson = <T = Manifest>(layoutDir: string, digest: string) =>
  JSON.parse(readBlob(layoutDir, digest).toString()) as T

describe.each(IMAGES)('the image of $write.name', ({ write, digest, platforms }) => {
  it('has the same digest on every machine and in every run', () => {
    expect(write(join(work, 'image')).digest).toBe(digest)
  })

  it('is named by its tag in the layout, with the size and digest of what is there', () => {
    const image = write(join(work, 'image'), 'other')
    const index = JSON.parse(readFileSync(join(image.layoutDir, 'index.json'), 'utf8'))
    const bytes = readBlob(image.layoutDir, image.digest)
    expect(index.manifests).toMatchObject([
      {
        digest: image.digest,
        size: bytes.length,
        annotations: { 'org.opencontainers.image.ref.name': 'other' },
      },
    ])
    expect(image.platforms).toEqual(platforms)
  })

  it('holds every blob under its own digest and no other', () => {
    const { layoutDir } = write(join(work, 'image'))
    for (const name of readdirSync(join(layoutDir, 'blobs/sha256'))) {
      expect(
        createHash('sha256')
          .update(readBlob(layoutDir, `sha256:${name}`))
          .digest('hex'),
      ).toBe(name)
    }
  })

  it('states for each platform a configuration whose diff ids are those of its unpacked layers', () => {
    const { layoutDir, digest: root } = write(join(work, 'image'))
    const top = readJson(layoutDir, root)
    const manifests = top.manifests?.map((entry) => readJson(layoutDir, entry.digest)) ?? [top]
    const seen = manifests.map((manifest) => {
      const config = readJson<{ os: string; architecture: string; rootfs: { diff_ids: string[] } }>(
        layoutDir,
        manifest.config!.digest,
      )
      const unpacked = manifest.layers!.map((layer) => gunzipSync(readBlob(layoutDir, layer.digest)))
      expect(config.rootfs.diff_ids).toEqual(
        unpacked.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`),
      )
      return `${config.os}/${config.architecture}`
    })
    expect(seen).toEqual(platforms)
  })
})

describe('archives', () => {
  it('writes a tar that tar reads, parents included', () => {
    const file = join(work, 'a.tar')
    writeFileSync(file, tarArchive([{ path: 'usr/bin/x', content: 'hello', mode: 0o755 }]))
    expect(execFileSync('tar', ['-tf', file]).toString().trim().split('\n')).toEqual([
      'usr/',
      'usr/bin/',
      'usr/bin/x',
    ])
    expect(execFileSync('tar', ['-xOf', file, 'usr/bin/x']).toString()).toBe('hello')
  })

  it('refuses a path that does not fit', () => {
    expect(() => tarArchive([{ path: 'x'.repeat(101), content: '' }])).toThrow()
  })

  it.each([0, 1, 65_535, 65_536, 200_000])('gives %d bytes back from a stored gzip', (size) => {
    const content = Buffer.alloc(size, 'ab')
    expect(gunzipSync(storedGzip(content)).equals(content)).toBe(true)
  })

  it('writes a zip that Python reads and finds whole', () => {
    const file = join(work, 'a.zip')
    writeFileSync(file, zipArchive([{ path: 'META-INF/a.txt', content: 'hello' }]))
    expect(execFileSync('python3', ['-m', 'zipfile', '-t', file]).toString()).toContain('Done testing')
  })
})

describe('goBinary', () => {
  const build = {
    goVersion: 'go1.26.0',
    main: { path: 'example.invalid/hello', version: 'v1.0.0' },
    dependencies: [{ path: 'golang.org/x/text', version: 'v0.3.7' }],
  }

  it('is an ELF of the asked machine that carries version and modules', () => {
    const file = goBinary({ ...build, architecture: 'arm64' })
    expect(file.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
    expect(file.readUInt16LE(18)).toBe(183)
    expect(file.indexOf('\xff Go buildinf:', 0, 'latin1') % 16).toBe(0)
    expect(file.includes('dep\tgolang.org/x/text\tv0.3.7\n')).toBe(true)
    expect(file.length).toBeLessThan(2048)
  })

  it('writes lengths over 127 as a varint of several bytes', () => {
    const dependencies = Array.from({ length: 200 }, (_, index) => ({
      path: `example.invalid/m${index}`,
      version: 'v1.0.0',
    }))
    const file = goBinary({ ...build, dependencies, architecture: 'amd64' })
    const text = file.indexOf('go1.26.0') + 'go1.26.0'.length
    expect(file[text]! & 0x80).toBe(0x80)
    const length = (file[text]! & 0x7f) | ((file[text + 1]! & 0x7f) << 7)
    const modules = file.subarray(text + 2, text + 2 + length)
    expect(modules.at(-17)).toBe('\n'.charCodeAt(0))
  })
})

describe('the minbase image', () => {
  const able = { os: 'linux', architecture: 'x64', uid: 0, hasDebootstrap: true }

  it('is made for the platform of the machine', () => {
    expect(minbaseRequirement(able)).toMatchObject({ platform: { os: 'linux', architecture: 'amd64' } })
  })

  it.each([
    { os: 'darwin' },
    { architecture: 's390x' },
    { uid: 1000 },
    { uid: null },
    { hasDebootstrap: false },
  ])('is unavailable with %o', (lack) => {
    expect(minbaseRequirement({ ...able, ...lack })).toHaveProperty('unavailable')
  })
})
