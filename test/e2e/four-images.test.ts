import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Api } from '../../dev/local/api.ts'
import { writeAlpineImage } from '../../dev/sample/image/alpine-image.ts'
import { writeMinbaseImage } from '../../dev/sample/image/minbase-image.ts'
import { writePythonOwnedImage } from '../../dev/sample/image/python-owned-image.ts'
import { writeSampleImage } from '../../dev/sample/image/sample-image.ts'
import type { WrittenImage } from '../../dev/sample/image/written-image.ts'
import { type SampleRegistry, serveLayouts } from '../../dev/sample/registry.ts'
import { type Comparison, compareFindings, type ShownFinding } from './compare-findings.ts'
import { EngineBench } from './engine-bench.ts'
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

let bench: EngineBench
let registry: SampleRegistry
let api: Api
const scans = new Map<string, EndedScan>()
const written = new Map<string, WrittenImage>()
let minbaseMissing: string | null = null

beforeAll(async () => {
  const { work } = inject('system')
  bench = new EngineBench()
  written.set('sample', writeSampleImage(join(bench.work, 'sample')))
  written.set('alpine', writeAlpineImage(join(bench.work, 'alpine')))
  written.set('python-owned', writePythonOwnedImage(join(bench.work, 'python-owned')))
  const minbase = await writeMinbaseImage(join(work, 'minbase'))
  if ('unavailable' in minbase) minbaseMissing = minbase.unavailable
  else written.set('minbase', minbase)
  const repositories = [...written].map(([name, { layoutDir, tag, digest }]) => {
    return [`images/${name}`, { layoutDir, tags: { [tag]: digest } }] as const
  })
  registry = await serveLayouts({ repositories: Object.fromEntries(repositories) })
  api = await anOrganization()
  await connectRegistry(api, registry.host)
  const requested = await Promise.all(
    [...written].map(async ([name, { tag }]) => {
      return [name, await requestScan(api, `${registry.host}/images/${name}:${tag}`)] as const
    }),
  )
  for (const [name, scanId] of requested) scans.set(name, await ended(api, scanId))
})
afterAll(async () => {
  await registry?.close()
  bench?.remove()
})

async function examine(name: string): Promise<Examined> {
  const scan = scans.get(name)!
  expect(scan).toMatchObject({ status: 'COMPLETE', partial: false, reason: null })
  const { layoutDir } = written.get(name)!
  const [trivy, grype] = [await bench.trivyReport(layoutDir), await bench.grypeReport(layoutDir)]
  const findings = await findingsOf(api, scan.id)
  return { scan, findings, comparison: compareFindings([...readTrivy(trivy), ...readGrype(grype)], findings) }
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
      explained: {},
    },
    {
      name: 'alpine',
      counts: { trivy: 4, grype: 4, both: 4, union: 4 },
      explained: {},
    },
    {
      name: 'python-owned',
      counts: { trivy: 61, grype: 61, both: 61, union: 61 },
      explained: {},
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
          .replaceAll(join(running, 'image'), `${scan.image}@${scan.digest}`)
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
