import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { convertLegacy } from '../../../src/scanning/foreign/legacy.ts'
import { normaliseReports } from '../../../src/scanning/normalise/index.ts'
import { aResult } from '../../risk/results.ts'
import { anOrganization, type Caller, caller, type TestOrganization } from '../../world.ts'
import { deliver } from '../deliver.ts'
import { connected } from '../over-http.ts'
import { wholeOf } from './converted.ts'
import { IMAGES, type Raw, type RecordedImage, recordedReports } from './recorded.ts'

const DIGEST = `sha256:${'d1'.repeat(32)}`

const legacyBody = (reports: Raw, more: Raw = {}) => ({
  requestId: crypto.randomUUID(),
  image: { name: 'team/app', tag: '1.0', digest: DIGEST, platform: 'linux/amd64' },
  scan: { startedAt: '2026-11-21T12:00:00Z', finishedAt: '2026-11-21T12:01:00Z', status: 'SUCCESS' },
  reports,
  ...more,
})

async function convert(body: unknown, asked: readonly string[] = []) {
  const converted = convertLegacy(body, asked, 1000)
  return converted && { ...(await wholeOf(converted)), found: converted.image, id: converted.id }
}

describe('a legacy body', () => {
  it.each(IMAGES)('of %s gives what the runner makes of the same reports', async (image) => {
    const reports = await recordedReports(image)
    const { packages, vulnerabilities, findings } = normaliseReports(reports)
    expect(await convert(legacyBody(reports))).toMatchObject({ packages, vulnerabilities, findings })
  })

  it('names versions of its engines, and the databases that its reports name', async () => {
    const reports = await recordedReports('sample-amd64')
    const metadata = { trivy: { VulnerabilityDB: { UpdatedAt: '2026-11-20T06:00:00Z', Version: 2 } } }
    const { engines } = (await convert(legacyBody({ ...reports, metadata })))!
    expect(engines.map(({ name, version, database }) => [name, version, database?.builtAt ?? null])).toEqual([
      ['trivy', '0.76.0', '2026-11-20T06:00:00.000Z'],
      ['grype', '0.110.0', '2026-11-20T06:00:00.000Z'],
      ['syft', '1.52.0', null],
    ])
    expect((await convert(legacyBody(reports)))!.engines[0]!.database).toBeNull()
  })

  it('has engines that succeeded where their report is one, and the others say why not', async () => {
    const { trivy } = await recordedReports('alpine')
    const { engines, scan } = (await convert(legacyBody({ trivy, grype: { not: 'a report' } }), [
      'trivy',
      'grype',
      'syft',
    ]))!
    expect(engines.map(({ name, status, reason }) => `${name} ${status} ${reason?.code}`)).toEqual([
      ...['trivy succeeded undefined', 'grype failed engine_output_invalid', 'syft failed engine_failed'],
    ])
    expect(scan.status).toBe('PARTIAL')
  })

  it('that is FAILED has nothing of its reports', async () => {
    const reports = await recordedReports('alpine')
    const result = await convert(legacyBody(reports, { scan: { status: 'FAILED' } }), ['trivy'])
    expect(result).toMatchObject({ packages: [], findings: [], scan: { status: 'FAILED' } })
    expect(result!.engines.map(({ status }) => status)).toEqual(['failed'])
  })

  it('is a valid result, or none, whatever it holds', async () => {
    const report = fc.oneof(fc.jsonValue(), fc.constant({ SchemaVersion: 2, ArtifactName: '', Results: [] }))
    const reports = fc.record(
      { trivy: report, grype: report, syft: report, metadata: fc.jsonValue() },
      { requiredKeys: [] },
    )
    const body = fc.record(
      {
        requestId: fc.jsonValue(),
        image: fc.jsonValue(),
        scan: fc.jsonValue(),
        reports: fc.oneof(reports, fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(body, fc.jsonValue()), async (document) => {
        await convert(JSON.parse(JSON.stringify(document)), ['trivy'])
      }),
      { numRuns: 300 },
    )
  })
})

const upload = (client: Caller, document: unknown, more = {}) => {
  const body = typeof document === 'string' ? document : JSON.stringify(document)
  const length = String(new TextEncoder().encode(body).length)
  return client.send('POST', '/api/scans/upload', {
    body,
    headers: { 'Content-Type': 'application/json', 'Content-Length': length, ...more },
  })
}

async function findingsOf(ours: TestOrganization, scanId: string): Promise<string[]> {
  await deliver({ kind: 'scan.ingest', org: ours.organization.num, scanId })
  const { status, body } = await ours.get(`/api/scans/${scanId}/vulnerabilities?limit=200`)
  expect(status).toBe(200)
  return body.data
    .map((each: Raw) =>
      [each.cveId, each.purl, each.severity, each.cvss, each.fixedVersion, ...each.sources, each.path].join(
        ' ',
      ),
    )
    .sort()
}

async function aSensor() {
  const ours = await anOrganization()
  const registry = await connected(ours, 'open', { scanMethod: 'sensor' })
  return { ours, registry, sensor: caller(registry.sensorApiKey!) }
}

/** The envelope 1.1 that our runner makes of the reports, without a lease. */
function ownEnvelope(reports: Raw, ref: string): Raw {
  const { fence: _fence, ...made } = aResult({
    packages: 0,
    findings: 0,
    jobId: crypto.randomUUID(),
    digest: DIGEST,
  })
  const { packages, vulnerabilities, findings } = normaliseReports(reports)
  return { ...made, image: { ...made.image, ref, os: null, layers: [] }, packages, vulnerabilities, findings }
}

describe('an uploaded legacy body', () => {
  it.each(['sample-amd64', 'python-owned'] as const)(
    'of %s has the same findings as an envelope 1.1 of the same reports',
    async (image: RecordedImage) => {
      const reports = await recordedReports(image)
      const { ours, registry, sensor } = await aSensor()
      const own = await upload(sensor, ownEnvelope(reports, `${registry.host}/team/own:1.0`))
      expect(own.status, own.text).toBe(201)
      const legacy = await upload(
        sensor,
        legacyBody(reports, {
          image: { registry: registry.host, name: 'team/app', tag: '1.0', digest: DIGEST },
        }),
      )
      expect(legacy.status, legacy.text).toBe(201)
      const expected = await findingsOf(ours, own.body.scanId)
      expect(expected.length).toBeGreaterThan(4)
      expect(await findingsOf(ours, legacy.body.scanId)).toEqual(expected)
      const names = (await ours.get('/api/images')).body.data.map(({ name }: Raw) => name)
      expect(names).toEqual([`${registry.host}/team/app`, `${registry.host}/team/own`])
    },
  )

  it('is idempotent by its request id', async () => {
    const { registry, sensor } = await aSensor()
    const body = legacyBody(await recordedReports('alpine'), {
      image: { name: `${registry.host}/team/app`, tag: '1' },
    })
    const [first, again] = [await upload(sensor, body), await upload(sensor, body)]
    expect([first.status, again.status]).toEqual([201, 200])
    expect(again.body).toEqual(first.body)
  })

  it('of more than 20 MB is refused before anything is stored', async () => {
    const { ours, registry, sensor } = await aSensor()
    const reports = { trivy: { padding: 'x'.repeat(20 * 1024 * 1024) } }
    const answer = await upload(
      sensor,
      legacyBody(reports, { image: { name: `${registry.host}/team/app`, tag: '1' } }),
    )
    expect(answer.status).toBe(413)
    expect((await ours.get('/api/scans')).body.meta.total).toBe(0)
  })

  it('without an image is refused', async () => {
    const { sensor } = await aSensor()
    const answer = await upload(sensor, legacyBody({}, { image: {} }))
    expect(answer.status).toBe(400)
    expect(answer.body.error).toContain('image.name')
  })
})
