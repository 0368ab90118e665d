import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Api } from '../../dev/local/api.ts'
import { writeAlpineImage } from '../../dev/sample/image/alpine-image.ts'
import { writePythonOwnedImage } from '../../dev/sample/image/python-owned-image.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import type { WrittenImage } from '../../dev/sample/image/written-image.ts'
import { type SampleRegistry, serveLayouts } from '../../dev/sample/registry.ts'
import { type Comparison, compareFindings, type ShownFinding } from './compare-findings.ts'
import { EngineBench } from './engine-bench.ts'
import { theMinbaseImage } from './minbase.ts'
import { notRun } from './not-run.ts'
import { anOrganization } from './organization.ts'
import { readGrype, readTrivy } from './printed-findings.ts'
import { connectRegistry } from './registries.ts'
import { type EndedScan, ended, findingsOf, requestScan } from './scans.ts'
import { wordsOf } from './witnessed-engines.ts'

const SEVERITIES = ['critical', 'high', 'medium', 'low', 'unknown'] as const
type Counts = Record<(typeof SEVERITIES)[number], number>

interface Examined {
  scan: EndedScan
  findings: ShownFinding[]
  comparison: Comparison
}

const registries: SampleRegistry[] = []
const written = new Map<string, WrittenImage>()
const scans = new Map<string, EndedScan>()
let bench: EngineBench
let api: Api
let minbaseMissing: string | null = null

beforeAll(async () => {
  bench = new EngineBench()
  api = await anOrganization()
  const small = await requestScans({
    sample: writeSampleImage(join(bench.work, 'sample')),
    alpine: writeAlpineImage(join(bench.work, 'alpine')),
    'python-owned': writePythonOwnedImage(join(bench.work, 'python-owned')),
  })
  const minbase = await theMinbaseImage()
  if ('unavailable' in minbase) minbaseMissing = minbase.unavailable
  const large = await requestScans('unavailable' in minbase ? {} : { minbase })
  for (const [name, scanId] of [...small, ...large]) scans.set(name, await ended(api, scanId))
})
afterAll(async () => {
  for (const registry of registries) await registry.close()
  bench?.remove()
})

/** Serves the images from a registry of their own, connects it and asks for a scan of each. */
async function requestScans(images: Record<string, WrittenImage>): Promise<[string, string][]> {
  const repositories = Object.entries(images).map(([name, { layoutDir, tag, digest }]) => {
    return [`images/${name}`, { layoutDir, tags: { [tag]: digest } }] as const
  })
  const registry = await serveLayouts({ repositories: Object.fromEntries(repositories) })
  registries.push(registry)
  await connectRegistry(api, registry.host)
  const requested: [string, string][] = []
  for (const [name, image] of Object.entries(images)) {
    written.set(name, image)
    requested.push([name, await requestScan(api, `${registry.host}/images/${name}:${image.tag}`)])
  }
  return requested
}

async function examine(name: string): Promise<Examined> {
  const scan = scans.get(name)!
  expect(scan).toMatchObject({ status: 'COMPLETE', partial: false, reason: null })
  const { layoutDir } = written.get(name)!
  const [trivy, grype] = [await bench.trivyReport(layoutDir), await bench.grypeReport(layoutDir)]
  const findings = await findingsOf(api, scan.id)
  const layerDigests = new Map(scan.layers.map(({ diffId, digest }) => [diffId, digest]))
  const printed = [...readTrivy(trivy), ...readGrype(grype)]
  return { scan, findings, comparison: compareFindings(printed, findings, layerDigests) }
}

/** Scan, image and tag show as many findings of each severity as there are in the list. */
async function expectCounts(scan: EndedScan, findings: ShownFinding[]): Promise<void> {
  const counted = Object.fromEntries(
    SEVERITIES.map((severity) => [
      severity,
      findings.filter((finding) => finding.severity === severity.toUpperCase()).length,
    ]),
  ) as Counts
  const { unknown: _unknown, ...shown } = counted
  expect(scan.counts).toEqual(counted)
  const grade = { grade: scan.compliance, riskScore: scan.riskScore, vulnerabilities: shown }
  const { data: image } = await api.get<{ data: object }>(`/api/images/${scan.imageId}`)
  expect(image).toMatchObject(grade)
  const tags = await api.all<{ id: string }>(`/api/images/${scan.imageId}/tags`)
  expect(tags.find(({ id }) => id === scan.tagId)).toMatchObject(grade)
}

describe('what the API shows of an image, beside what trivy and grype print about it by themselves', () => {
  it.each([
    {
      name: 'sample',
      counts: { trivy: 359, grype: 358, both: 358, union: 359 },
      explained: {
        alias: 140,
        'one id without a CVE': 1,
        'purl name': 122,
        'purl version': 66,
        'severity name': 358,
        'highest severity': 38,
        'fix of another engine': 17,
      },
    },
    {
      name: 'alpine',
      counts: { trivy: 4, grype: 4, both: 4, union: 4 },
      explained: { 'severity name': 4, 'highest severity': 4 },
    },
    {
      name: 'python-owned',
      counts: { trivy: 61, grype: 61, both: 61, union: 61 },
      explained: { alias: 5, 'purl name': 3, 'severity name': 61, 'highest severity': 9 },
    },
  ])('$name: every finding of each engine, and every difference by a named rule', async (expected) => {
    const { scan, findings, comparison } = await examine(expected.name)
    expect(comparison.unexplained).toEqual([])
    expect(comparison.counts).toEqual(expected.counts)
    expect(comparison.explained).toEqual(expected.explained)
    expect(findings).toHaveLength(comparison.counts.union)
    await expectCounts(scan, findings)
  })

  it('minbase: every finding of each engine on a Debian as it is today', async (context) => {
    if (minbaseMissing) {
      notRun(`Debian minbase through the API: ${minbaseMissing}`)
      return context.skip()
    }
    const { scan, findings, comparison } = await examine('minbase')
    expect(comparison.unexplained).toEqual([])
    expect(comparison.counts.both).toBeGreaterThan(10)
    expect(findings).toHaveLength(comparison.counts.union)
    await expectCounts(scan, findings)
  })
})

describe('what the API keeps of the engines', () => {
  const download = async (path: string) => {
    const answer = await fetch(api.url + path, { headers: { 'X-API-Key': api.key } })
    expect(answer.status).toBe(200)
    return { answer, bytes: Buffer.from(await answer.arrayBuffer()) }
  }

  it.each([
    { format: 'cyclonedx', file: 'sbom.cdx.json', type: 'application/vnd.cyclonedx+json' },
    { format: 'spdx', file: 'sbom.spdx.json', type: 'application/spdx+json' },
  ])('hands out the $format SBOM byte for byte as syft wrote it', async ({ format, file, type }) => {
    for (const scan of scans.values()) {
      const wrote = readFileSync(join(wordsOf(inject('system').wordsDir, scan.id).dir, file))
      const { answer, bytes } = await download(`/api/scans/${scan.id}/sbom?format=${format}`)
      expect(bytes.equals(wrote)).toBe(true)
      expect(answer.headers.get('content-type')).toContain(type)
      expect(answer.headers.get('etag')).toContain(createHash('sha256').update(wrote).digest('hex'))
      const sbom = JSON.parse(bytes.toString()) as {
        bomFormat?: string
        specVersion?: string
        spdxVersion?: string
      }
      expect(sbom).toMatchObject(
        format === 'cyclonedx' ? { bomFormat: 'CycloneDX', specVersion: '1.5' } : { spdxVersion: 'SPDX-2.3' },
      )
    }
  })

  it.each(['trivy', 'grype', 'syft'])(
    "hands out %s's report as the engine wrote it, with the runner's paths replaced",
    async (engine) => {
      const { stateDir, wordsDir, sampleDatabases } = inject('system')
      for (const scan of scans.values()) {
        const { dir, job } = wordsOf(wordsDir, scan.id)
        const wrote = readFileSync(join(dir, `${engine}.json`), 'utf8')
        const running = join(stateDir, 'runner', 'running', job)
        const expected = wrote
          .replaceAll(join(running, 'image'), `${scan.image.replace(/:[^:/]+$/, '')}@${scan.digest}`)
          .replaceAll(running, 'job')
          .replaceAll(join(sampleDatabases, 'trivy'), 'trivy-databases')
          .replaceAll(join(sampleDatabases, 'grype'), 'grype-databases')
          .replaceAll(join(stateDir, 'runner'), 'work')
        const { bytes } = await download(`/api/scans/${scan.id}/raw/${engine}`)
        expect(bytes.toString() === expected).toBe(true)
        expect(expected).not.toContain(stateDir)
      }
    },
  )
})
