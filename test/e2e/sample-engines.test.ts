import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SNAPSHOT_BUILT_AT } from '../../dev/sample/advisories/snapshot.ts'
import { writeAlpineImage } from '../../dev/sample/image/alpine-image.ts'
import { writePythonOwnedImage } from '../../dev/sample/image/python-owned-image.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import { serveLayouts } from '../../dev/sample/registry.ts'
import {
  countByType,
  EngineBench,
  onlyIn,
  SCAN_TIMEOUT_MS,
  TRIVY_SCAN,
  type TrivyReport,
} from './engine-bench.ts'
import { theMinbaseImage } from './minbase.ts'
import { notRun } from './not-run.ts'

const DEBOOTSTRAP_TIMEOUT_MS = 12 * 60_000 // 36 s measured, and the scans

let bench: EngineBench
beforeAll(() => {
  bench = new EngineBench()
})
afterAll(() => bench?.remove())

describe('sample databases in the engines', () => {
  it('are what trivy calls its database of schema 2, built when the snapshot was', async () => {
    const { VulnerabilityDB, JavaDB } = await bench.run<
      Record<string, { Version: number; UpdatedAt: string }>
    >('trivy', ['version', '--format', 'json'])
    expect(VulnerabilityDB).toMatchObject({ Version: 2, UpdatedAt: SNAPSHOT_BUILT_AT })
    expect(JavaDB).toMatchObject({ Version: 1, UpdatedAt: SNAPSHOT_BUILT_AT })
  })

  it('are what grype calls a valid database of schema 6, built when the snapshot was', async () => {
    expect(await bench.run('grype', ['db', 'status', '-o', 'json'])).toMatchObject({
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
      const { layoutDir } = expected.write(join(bench.work, 'images', expected.write.name))
      const [trivy, grype] = await Promise.all([
        bench.trivyFindings(layoutDir),
        bench.grypeFindings(layoutDir),
      ])
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
      const { layoutDir } = writePythonOwnedImage(join(bench.work, 'images/owned'))
      const report = await bench.run<{ artifacts: { name: string; version: string; type: string }[] }>(
        'syft',
        ['scan', '-q', `oci-dir:${layoutDir}`, '-o', 'syft-json'],
      )
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
      const matched = (await bench.grypeFindings(layoutDir)).map(({ purl }) => purl)
      expect(matched.filter((purl) => purl === 'pkg:pypi/jinja2@3.1.2')).toEqual([])
      expect(matched).toContain('pkg:pypi/jinja2@3.0.3')
    },
    SCAN_TIMEOUT_MS,
  )

  it(
    'finds the same in Debian minbase with both engines, but for the match that grype corrects',
    async (context) => {
      const image = await theMinbaseImage()
      if ('unavailable' in image) {
        notRun(`trivy and grype on Debian minbase: ${image.unavailable}`)
        context.skip()
        return
      }
      const [trivy, grype] = await Promise.all([
        bench.trivyFindings(image.layoutDir),
        bench.grypeFindings(image.layoutDir),
      ])
      expect(Object.keys(countByType(trivy))).toEqual(['debian'])
      expect(trivy.length).toBeGreaterThan(20)
      expect(onlyIn(trivy, grype)).toEqual([zlib])
      expect(onlyIn(grype, trivy)).toEqual([])
    },
    DEBOOTSTRAP_TIMEOUT_MS,
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
      const { layoutDir, digest, tag } = writeSampleImage(join(bench.work, 'images/served'))
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
          bench.run<TrivyReport>(
            'trivy',
            [...TRIVY_SCAN, '--image-src', 'remote', ...platform, reference],
            credentials,
          ),
          bench.run<{ source: { metadata: { architecture: string } } }>(
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
