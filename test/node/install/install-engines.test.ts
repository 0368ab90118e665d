import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  ENGINE_MANIFEST,
  ENGINE_NAMES,
  type EngineManifest,
  type EngineName,
  platformKey,
} from '../../../scanner-runner/src/install/engine-manifest.ts'
import { enginesDirectory } from '../../../scanner-runner/src/install/engines-directory.ts'
import { findOnPath } from '../../../scanner-runner/src/install/find-on-path.ts'
import { installEngines } from '../../../scanner-runner/src/install/install-engines.ts'
import type { EngineSource } from '../../../scanner-runner/src/install/installed-engine.ts'
import { versionIn } from '../../../scanner-runner/src/install/read-version.ts'

const PLATFORM = 'linux-amd64'

let work: string
let directory: string
let server: Server
let base: string
let served: Map<string, Buffer>
let downloads: string[]

beforeEach(async () => {
  work = mkdtempSync(join(tmpdir(), 'install-engines-'))
  directory = join(work, 'engines')
  served = new Map()
  downloads = []
  server = createServer((request, response) => {
    downloads.push(request.url ?? '')
    if (request.url?.startsWith('/hang-up/')) return void request.socket.destroy()
    const content = served.get(request.url ?? '')
    response.writeHead(content ? 200 : 404).end(content)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  rmSync(work, { recursive: true, force: true })
})

const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')

/** A program that says it is the given version, in the words of either engine. */
const program = (version: string) => `#!/bin/sh\necho '{"Version":"${version}","version":"${version}"}'\n`

function putOnPath(name: EngineName, version: string): string {
  const bin = join(work, 'bin')
  mkdirSync(bin, { recursive: true })
  writeFileSync(join(bin, name), program(version))
  chmodSync(join(bin, name), 0o755)
  return bin
}

function serveArchive(name: EngineName, version: string): { url: string; sha256: string } {
  const source = mkdtempSync(join(work, 'archive-'))
  writeFileSync(join(source, name), program(version))
  execFileSync('tar', ['-czf', join(source, 'a.tar.gz'), '-C', source, name])
  const archive = readFileSync(join(source, 'a.tar.gz'))
  served.set(`/${name}.tar.gz`, archive)
  return { url: `${base}/${name}.tar.gz`, sha256: sha256(archive) }
}

const anEngine = (
  name: EngineName,
  archive: { url: string; sha256: string | null } | null,
): EngineManifest => ({
  version: '1.2.3',
  versionsAcceptedFromPath: ['1.2.3'],
  release: {
    member: name,
    checksums: `${base}/checksums.txt`,
    archives: archive ? { [PLATFORM]: archive } : {},
  },
  pypi: null,
  go: null,
})
const aManifest = (archive: (name: EngineName) => { url: string; sha256: string | null } | null) =>
  Object.fromEntries(ENGINE_NAMES.map((name) => [name, anEngine(name, archive(name))])) as Record<
    EngineName,
    EngineManifest
  >

const install = (
  manifest: Record<EngineName, EngineManifest>,
  path = '',
  sources: readonly EngineSource[] = ['path', 'release'],
) => installEngines(directory, { manifest, platform: PLATFORM, path, sources })

describe('installing engines', () => {
  it('takes the program out of a release archive of the pinned checksum and records it', async () => {
    const results = await install(aManifest((name) => serveArchive(name, '1.2.3')))
    const expected = ENGINE_NAMES.map((name) => ({
      name,
      version: '1.2.3',
      path: join(directory, name),
      sha256: sha256(Buffer.from(program('1.2.3'))),
      source: 'release',
    }))
    expect(results).toEqual(expected)
    expect(JSON.parse(readFileSync(join(directory, 'engines.lock.json'), 'utf8'))).toEqual({
      engines: expected,
    })
    expect(readdirSync(directory).sort()).toEqual(['engines.lock.json', 'grype', 'syft', 'trivy'])
  })

  it('installs nothing a second time', async () => {
    const manifest = aManifest((name) => serveArchive(name, '1.2.3'))
    const first = await install(manifest)
    downloads = []
    expect(await install(manifest)).toEqual(first)
    expect(downloads).toEqual([])
  })

  it('installs a program again that was changed on the disk', async () => {
    const manifest = aManifest((name) => serveArchive(name, '1.2.3'))
    const first = await install(manifest)
    writeFileSync(join(directory, 'grype'), program('6.6.6'))
    expect(await install(manifest)).toEqual(first)
    expect(readFileSync(join(directory, 'grype'), 'utf8')).toBe(program('1.2.3'))
  })

  it('refuses an archive of another checksum and leaves nothing of it', async () => {
    const results = await install(
      aManifest((name) => ({ ...serveArchive(name, '1.2.3'), sha256: '0'.repeat(64) })),
    )
    expect(results.map((result) => Object.keys(result))).toEqual(
      ENGINE_NAMES.map(() => ['name', 'unavailable']),
    )
    expect(readdirSync(directory)).toEqual(['engines.lock.json'])
  })

  it('takes an archive without a pinned checksum only by the one its maker publishes', async () => {
    const results = await install(aManifest((name) => ({ ...serveArchive(name, '1.2.3'), sha256: null })))
    expect(results.every((result) => 'unavailable' in result)).toBe(true)
    expect(downloads).toEqual([])

    const manifest = aManifest((name) => ({ url: serveArchive(name, '1.2.3').url, sha256: null }))
    const sum = (name: string) => sha256(served.get(`/${name}.tar.gz`)!)
    const published = `${sum('trivy')}  trivy.tar.gz\n${sum('trivy')}  grype.tar.gz\n${sum('syft')}  other.tar.gz\n`
    served.set('/checksums.txt', Buffer.from(published))
    const taken = await install(manifest, '', ['release', 'published'])
    expect(taken.map((result) => ('source' in result ? result.source : 'none'))).toEqual([
      'published',
      'none',
      'none',
    ])
    expect(downloads).not.toContain('/syft.tar.gz')
    expect(readdirSync(directory).sort()).toEqual(['engines.lock.json', 'trivy'])
  })

  it('refuses a program that says it is another version', async () => {
    const results = await install(aManifest((name) => serveArchive(name, '1.2.4')))
    expect(results.every((result) => 'unavailable' in result)).toBe(true)
  })

  it('asks a host that does not answer once for all engines', async () => {
    const results = await install(
      aManifest((name) => ({ url: `${base}/hang-up/${name}`, sha256: '0'.repeat(64) })),
    )
    expect(results.every((result) => 'unavailable' in result)).toBe(true)
    expect(downloads).toEqual(['/hang-up/trivy'])
  })

  it('asks a host that answers 404 again for the next engine', async () => {
    await install(aManifest((name) => ({ url: `${base}/missing/${name}`, sha256: '0'.repeat(64) })))
    expect(downloads).toHaveLength(ENGINE_NAMES.length)
  })

  it('uses an engine of a known version from the PATH where it is, with its checksum', async () => {
    const bin = putOnPath('syft', '1.2.3')
    const results = await install(
      aManifest(() => null),
      bin,
    )
    expect(results.find(({ name }) => name === 'syft')).toEqual({
      name: 'syft',
      version: '1.2.3',
      path: join(bin, 'syft'),
      sha256: sha256(Buffer.from(program('1.2.3'))),
      source: 'path',
    })
    expect(existsSync(join(directory, 'syft'))).toBe(false)
  })

  it('leaves an engine of an unknown version on the PATH alone', async () => {
    const results = await install(
      aManifest(() => null),
      putOnPath('syft', '9.9.9'),
    )
    expect(results.find(({ name }) => name === 'syft')).toHaveProperty('unavailable')
  })

  it('gives complete programs to installations that run at the same time', async () => {
    const manifest = aManifest((name) => serveArchive(name, '1.2.3'))
    const runs = await Promise.all([install(manifest), install(manifest), install(manifest)])
    expect(runs[1]).toEqual(runs[0])
    expect(runs[2]).toEqual(runs[0])
    expect(readdirSync(directory).sort()).toEqual(['engines.lock.json', 'grype', 'syft', 'trivy'])
  })

  it('reads a damaged record as none', async () => {
    const manifest = aManifest((name) => serveArchive(name, '1.2.3'))
    const first = await install(manifest)
    writeFileSync(join(directory, 'engines.lock.json'), '{"engines":[{"name":"trivy"}')
    expect(await install(manifest)).toEqual(first)
  })

  it('starts nothing once it was told to stop', async () => {
    const manifest = aManifest((name) => serveArchive(name, '1.2.3'))
    const results = await installEngines(directory, {
      manifest,
      platform: PLATFORM,
      path: '',
      signal: AbortSignal.abort(),
    })
    expect(results.every((result) => 'unavailable' in result)).toBe(true)
    expect(downloads).toEqual([])
  })
})

describe('the manifest', () => {
  it('pins every checksum in full, or says that it knows none', () => {
    const sums = ENGINE_NAMES.flatMap((name) => {
      const { release, pypi, go } = ENGINE_MANIFEST[name]
      return [
        ...Object.values(release.archives).map(({ sha256: sum }) => sum),
        ...Object.values(pypi?.wheels ?? {}).flatMap((wheel) => [wheel.sha256, wheel.memberSha256]),
        ...(go?.binaries.map(({ sha256: sum }) => sum) ?? []),
      ]
    })
    expect(sums.filter((sum) => sum !== null && !/^[0-9a-f]{64}$/.test(sum))).toEqual([])
  })

  it.each(ENGINE_NAMES)('gives every address, module and stamp of %s the one version', (name) => {
    const { version, versionsAcceptedFromPath, release, go } = ENGINE_MANIFEST[name]
    const addresses = [release.checksums, ...Object.values(release.archives).map(({ url }) => url)]
    expect(
      addresses.every((url) => url.startsWith('https://github.com/') && url.includes(`/v${version}/`)),
    ).toBe(true)
    expect(versionsAcceptedFromPath).toContain(version)
    if (go)
      expect([go.version, go.ldflags.includes(`main.version=${version} `)]).toEqual([`v${version}`, true])
  })

  it('has a source for every engine on linux-amd64', () => {
    for (const name of ENGINE_NAMES) {
      const { release, pypi, go } = ENGINE_MANIFEST[name]
      expect(release.archives[PLATFORM]?.sha256 || pypi?.wheels[PLATFORM] || go).toBeTruthy()
    }
  })
})

describe('small parts', () => {
  it("names platforms in Go's words", () => {
    expect([platformKey('linux', 'x64'), platformKey('darwin', 'arm64')]).toEqual([
      'linux-amd64',
      'darwin-arm64',
    ])
  })

  it('keeps engines in the user’s cache under their exact versions', () => {
    const path = enginesDirectory({ XDG_CACHE_HOME: '/var/cache/me' })
    expect(path.startsWith('/var/cache/me/harborguard/engines/')).toBe(true)
    for (const name of ENGINE_NAMES) expect(path).toContain(`${name}-${ENGINE_MANIFEST[name].version}`)
  })

  it.each([
    ['{"Version":"0.76.0"}', '0.76.0'],
    ['{"version":"v1.52.0"}', '1.52.0'],
    ['{"version":"[not provided]"}', null],
    ['Version: 0.76.0', null],
    ['[]', null],
  ])('reads the version in %s', (output, version) => {
    expect(versionIn(output)).toBe(version)
  })

  it('finds no program in relative PATH entries, nor one that cannot be run', () => {
    const bin = putOnPath('syft', '1.2.3')
    chmodSync(join(bin, 'syft'), 0o644)
    expect(findOnPath('syft', `.:${bin}`)).toBeNull()
  })
})
