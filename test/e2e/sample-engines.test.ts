import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SNAPSHOT_BUILT_AT } from '../../dev/sample/advisories/snapshot.ts'
import { writeSampleDatabases } from '../../dev/sample/databases/write-sample-databases.ts'
import { writeAlpineImage } from '../../dev/sample/image/alpine-image.ts'
import { writePythonOwnedImage } from '../../dev/sample/image/python-owned-image.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import { serveLayouts } from '../../dev/sample/registry.ts'
import type { EngineName } from '../../scanner-runner/src/install/engine-manifest.ts'
import { enginesDirectory } from '../../scanner-runner/src/install/engines-directory.ts'
import { installEngines } from '../../scanner-runner/src/install/install-engines.ts'

const INSTALL_TIMEOUT_MS = 30 * 60_000 // a first compilation of grype and syft
const SCAN_TIMEOUT_MS = 60_000

interface TrivyReport {
  Metadata: { ImageConfig: { architecture: string } }
  Results?: { Type: string; Vulnerabilities?: { VulnerabilityID: string; PkgName: string }[] }[]
}
interface GrypeReport {
  matches: {
    vulnerability: { id: string }
    relatedVulnerabilities: { id: string }[]
    artifact: { name: string; type: string; purl: string }
  }[]
}

let work: string
const engines = {} as Record<EngineName, string>

/** Runs an engine as the runner does: empty HOME and directory, no network, the sample databases. Returns its stdout as JSON. */
async function run<T>(engine: EngineName, args: string[], env: Record<string, string> = {}): Promise<T> {
  const home = mkdtempSync(join(work, 'home-'))
  const settings = {
    HOME: home,
    TMPDIR: home,
    NO_COLOR: '1',
    TRIVY_CACHE_DIR: join(work, 'databases/trivy'),
    TRIVY_CACHE_BACKEND: 'memory',
    TRIVY_SKIP_DB_UPDATE: 'true',
    TRIVY_SKIP_JAVA_DB_UPDATE: 'true',
    TRIVY_SKIP_VEX_REPO_UPDATE: 'true',
    TRIVY_OFFLINE_SCAN: 'true',
    TRIVY_DISABLE_TELEMETRY: 'true',
    TRIVY_SKIP_VERSION_CHECK: 'true',
    GRYPE_DB_CACHE_DIR: join(work, 'databases/grype'),
    GRYPE_DB_AUTO_UPDATE: 'false',
    GRYPE_DB_VALIDATE_AGE: 'false',
    GRYPE_CHECK_FOR_APP_UPDATE: 'false',
    SYFT_CHECK_FOR_APP_UPDATE: 'false',
    SYFT_REGISTRY_INSECURE_USE_HTTP: 'true',
    ...env,
  }
  const options = { cwd: home, env: settings, timeout: SCAN_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }
  const { stdout } = await promisify(execFile)(engines[engine], args, options)
  return JSON.parse(stdout) as T
}

const TRIVY_SCAN = ['image', '--scanners', 'vuln', '--format', 'json', '--quiet']

async function trivyFindings(layoutDir: string) {
  const report = await run<TrivyReport>('trivy', [...TRIVY_SCAN, '--input', layoutDir])
  return (report.Results ?? []).flatMap(({ Type, Vulnerabilities = [] }) =>
    Vulnerabilities.map((found) => ({
      type: Type,
      key: `${bareName(found.PkgName)} ${found.VulnerabilityID}`,
    })),
  )
}

async function grypeFindings(layoutDir: string) {
  const home = mkdtempSync(join(work, 'syft-'))
  const sbom = join(home, 'syft.json')
  await promisify(execFile)(
    engines.syft,
    ['scan', '-q', `oci-dir:${layoutDir}`, '--platform', 'linux/amd64', '-o', `syft-json=${sbom}`],
    {
      cwd: home,
      env: { HOME: home, TMPDIR: home, SYFT_CHECK_FOR_APP_UPDATE: 'false' },
      timeout: SCAN_TIMEOUT_MS,
    },
  )
  const { matches } = await run<GrypeReport>('grype', [`sbom:${sbom}`, '-q', '-o', 'json'])
  return matches.map(({ vulnerability, relatedVulnerabilities, artifact }) => {
    const ids = [vulnerability.id, ...relatedVulnerabilities.map(({ id }) => id)]
    return {
      type: artifact.type,
      purl: artifact.purl,
      key: `${bareName(artifact.name)} ${ids.find((id) => id.startsWith('CVE-')) ?? ids[0]}`,
    }
  })
}

/** Trivy writes Maven's group before the artifact and keeps the case of Python names; grype does neither. */
const bareName = (name: string) => name.split(':').at(-1)!.toLowerCase()

function countByType(findings: { type: string }[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { type } of findings) counts[type] = (counts[type] ?? 0) + 1
  return counts
}

const onlyIn = (mine: { key: string }[], theirs: { key: string }[]) => {
  const others = new Set(theirs.map(({ key }) => key))
  return [...new Set(mine.map(({ key }) => key))].filter((key) => !others.has(key)).sort()
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'sample-engines-'))
  for (const result of await installEngines(enginesDirectory())) {
    if ('unavailable' in result) throw new Error(result.unavailable)
    engines[result.name] = result.path
  }
  await writeSampleDatabases(join(work, 'databases'), { grypePath: engines.grype })
  mkdirSync(join(work, 'images'))
}, INSTALL_TIMEOUT_MS)
afterAll(() => rmSync(work, { recursive: true, force: true }))

describe('sample databases in the engines', () => {
  it('are what trivy calls its database of schema 2, built when the snapshot was', async () => {
    const { VulnerabilityDB, JavaDB } = await run<Record<string, { Version: number; UpdatedAt: string }>>(
      'trivy',
      ['version', '--format', 'json'],
    )
    expect(VulnerabilityDB).toMatchObject({ Version: 2, UpdatedAt: SNAPSHOT_BUILT_AT })
    expect(JavaDB).toMatchObject({ Version: 1, UpdatedAt: SNAPSHOT_BUILT_AT })
  })

  it('are what grype calls a valid database of schema 6, built when the snapshot was', async () => {
    expect(await run('grype', ['db', 'status', '-o', 'json'])).toMatchObject({
      schemaVersion: 'v6.1.4',
      built: SNAPSHOT_BUILT_AT,
      valid: true,
    })
  })
})

describe('what the engines find in the sample images', () => {
  const zlib = 'zlib1g CVE-2023-45853' // grype drops this match by a correction of its own
  const grpc = 'google.golang.org/grpc' // without a CVE each engine keeps another of the advisory's ids

  it.each([
    {
      write: writeSampleImage,
      trivy: { debian: 215, gobinary: 77, jar: 16, 'node-pkg': 22, 'python-pkg': 29 },
      grype: { deb: 214, 'go-module': 77, 'java-archive': 16, npm: 22, python: 29 },
      onlyTrivy: [`${grpc} GHSA-hrxh-6v49-42gf`, zlib],
      onlyGrype: [`${grpc} GO-2026-6061`],
    },
    { write: writeAlpineImage, trivy: { alpine: 4 }, grype: { apk: 4 }, onlyTrivy: [], onlyGrype: [] },
    {
      write: writePythonOwnedImage,
      trivy: { debian: 56, 'python-pkg': 5 },
      grype: { deb: 56, python: 5 },
      onlyTrivy: [],
      onlyGrype: [],
    },
  ])(
    '$write.name: the counts of each, and every difference between them',
    async (expected) => {
      const { layoutDir } = expected.write(join(work, 'images', expected.write.name))
      const [trivy, grype] = await Promise.all([trivyFindings(layoutDir), grypeFindings(layoutDir)])
      expect(countByType(trivy)).toEqual(expected.trivy)
      expect(countByType(grype)).toEqual(expected.grype)
      expect(onlyIn(trivy, grype)).toEqual(expected.onlyTrivy)
      expect(onlyIn(grype, trivy)).toEqual(expected.onlyGrype)
    },
    SCAN_TIMEOUT_MS,
  )

  it(
    'finds nothing under Python names that a Debian package owns, and lists them',
    async () => {
      const { layoutDir } = writePythonOwnedImage(join(work, 'images/owned'))
      const report = await run<{ artifacts: { name: string; version: string; type: string }[] }>('syft', [
        'scan',
        '-q',
        `oci-dir:${layoutDir}`,
        '-o',
        'syft-json',
      ])
      const python = report.artifacts
        .filter(({ type }) => type === 'python')
        .map(({ name, version }) => `${name} ${version}`)
      expect(python.sort()).toEqual([
        'jinja2 3.0.3',
        'jinja2 3.1.2',
        'pyyaml 5.3.1',
        'pyyaml 6.0',
        'requests 2.25.0',
      ])
      const matched = (await grypeFindings(layoutDir)).map(({ purl }) => purl)
      expect(matched.filter((purl) => purl === 'pkg:pypi/jinja2@3.1.2')).toEqual([])
      expect(matched).toContain('pkg:pypi/jinja2@3.0.3')
    },
    SCAN_TIMEOUT_MS,
  )
})

describe('the sample registry', () => {
  it.each([
    { name: 'openly', auth: undefined },
    { name: 'with Basic authentication', auth: { kind: 'basic', username: 'u', password: 'p' } as const },
    { name: 'with Bearer tokens', auth: { kind: 'bearer', username: 'u', password: 'p' } as const },
  ])(
    'serves one platform of the index to trivy and to syft $name',
    async ({ auth }) => {
      const { layoutDir, digest, tag } = writeSampleImage(join(work, 'images/served'))
      const registry = await serveLayouts({
        repositories: { 'team/sample': { layoutDir, tags: { [tag]: digest } } },
        auth,
      })
      try {
        const reference = `${registry.host}/team/sample:${tag}`
        const credentials = {
          TRIVY_USERNAME: auth?.username ?? '',
          TRIVY_PASSWORD: auth?.password ?? '',
          SYFT_REGISTRY_AUTH_AUTHORITY: registry.host,
          SYFT_REGISTRY_AUTH_USERNAME: auth?.username ?? '',
          SYFT_REGISTRY_AUTH_PASSWORD: auth?.password ?? '',
        }
        const platform = ['--platform', 'linux/arm64']
        const [trivy, syft] = await Promise.all([
          run<TrivyReport>(
            'trivy',
            [...TRIVY_SCAN, '--image-src', 'remote', ...platform, reference],
            credentials,
          ),
          run<{ source: { metadata: { architecture: string } } }>(
            'syft',
            ['scan', '-q', `registry:${reference}`, ...platform, '-o', 'syft-json'],
            credentials,
          ),
        ])
        expect(trivy.Metadata.ImageConfig.architecture).toBe('arm64')
        expect(syft.source.metadata.architecture).toBe('arm64')
      } finally {
        await registry.close()
      }
    },
    SCAN_TIMEOUT_MS,
  )
})
