import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packageIdentity } from '../../../src/risk/findings/package-key.ts'
import type { ResultPackage } from '../../../src/scanning/sensors/result.ts'
import { convert } from './converted.ts'
import { sensorEnvelope } from './go-sensor.ts'
import { IMAGES, type Raw, recordedReports } from './recorded.ts'

const ASKED = ['trivy', 'grype', 'syft']
const JOB = { id: 'job', ref: 'registry.test/team/app:1' }

/** An envelope with these records. */
const envelope = (findings: { vulnerabilities?: Raw[]; packages?: Raw[] }, more: Raw = {}) => ({
  ...sensorEnvelope(JOB),
  findings: { vulnerabilities: [], packages: [], compliance: [], efficiency: [], ...findings },
  ...more,
})

const finding = (more: Raw = {}): Raw => ({
  ...{
    cveId: 'CVE-2026-1',
    source: 'trivy',
    severity: 'HIGH',
    packageName: 'openssl',
    installedVersion: '3.0.2',
  },
  ...more,
})

/** Package versions, each once, as ingest tells them apart. */
const packagesOf = (result: Raw): string[] => [
  ...new Set<string>(
    result.packages.map((listed: ResultPackage) => {
      const { type, namespace, name, version, distro, source } = packageIdentity(listed)
      return `${type}/${namespace ?? ''}/${name}@${version} ${distro ?? ''} ${source?.name ?? ''}`.trim()
    }),
  ),
]

describe('packages of an envelope 1.0', () => {
  it.each(IMAGES)(
    'of %s are each listed once, although trivy and syft name them by types of their own',
    async (image) => {
      const reports = await recordedReports(image)
      const result = await convert(sensorEnvelope({ ...JOB, ...reports }), ASKED)
      const listed = packagesOf(result)
      expect(new Set(listed.map((line) => line.split(' ')[0])).size).toBe(listed.length)
      expect(listed.length).toBeGreaterThanOrEqual(reports.syft.artifacts.length - 2)
      expect(listed.length).toBeLessThanOrEqual(reports.syft.artifacts.length + 2)
    },
  )

  it('are those of their purl, decoded, with distribution and source', async () => {
    const purl = 'pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12.5&upstream=bash%405.2.15-2'
    const listed = { name: 'bash', version: '5.2.15-2+b2', type: 'deb', source: 'syft', purl }
    const result = await convert(envelope({ packages: [listed] }), ASKED)
    expect(result!.packages[0]).toMatchObject({
      ...{ type: 'deb', namespace: 'debian', name: 'bash', version: '5.2.15-2+b2', distro: 'debian-12' },
      source: { name: 'bash', version: '5.2.15-2' },
    })
  })

  it('have the epoch that trivy puts into a qualifier', async () => {
    const purl = 'pkg:deb/debian/zlib1g@1.2.13?arch=amd64&distro=debian-12.5&epoch=1'
    const listed = { name: 'zlib1g', version: '1.2.13', type: 'debian', source: 'trivy', purl }
    const said = finding({ packageName: 'zlib1g', installedVersion: '1:1.2.13' })
    const result = await convert(envelope({ packages: [listed], vulnerabilities: [said] }), ASKED)
    expect(packagesOf(result)).toEqual(['deb/debian/zlib1g@1:1.2.13 debian-12'])
    expect(result!.findings[0]!.package).toBe(0)
  })

  it.each([
    ['debian', 'deb'],
    ['alpine', 'apk'],
    ['redhat', 'rpm'],
    ['node-pkg', 'npm'],
    ['python-pkg', 'python'],
    ['gobinary', 'go-module'],
    ['jar', 'java-archive'],
  ])('without a purl are one under the types %s and %s', async (ofTrivy, ofSyft) => {
    const packages = [
      { name: 'thing', version: '1.0', type: ofTrivy, source: 'trivy' },
      { name: 'thing', version: '1.0', type: ofSyft, source: 'syft', license: 'MIT' },
    ]
    const result = await convert(envelope({ packages }), ASKED)
    expect(packagesOf(result)).toHaveLength(1)
  })

  it('of an unknown type are the package of that name and version', async () => {
    const packages = [
      { name: 'Left_Pad', version: '1.0', type: 'no-such-type', source: 'trivy' },
      { name: 'left-pad', version: '1.0', type: 'npm', source: 'syft', purl: 'pkg:npm/left-pad@1.0' },
      { name: 'other', version: '2.0', type: 'no-such-type', source: 'trivy' },
    ]
    const result = await convert(envelope({ packages }), ASKED)
    expect(packagesOf(result)).toEqual(['npm//left-pad@1.0', 'generic//other@2.0'])
  })

  it('stay two where purls of one name and version differ in type, and a finding is about the one of its engine', async () => {
    const packages = [
      { name: 'yaml', version: '1.0', type: 'npm', source: 'syft', purl: 'pkg:npm/yaml@1.0' },
      { name: 'yaml', version: '1.0', type: 'python-pkg', source: 'trivy', purl: 'pkg:pypi/yaml@1.0' },
    ]
    const said = ['trivy', 'grype'].map((source) =>
      finding({ source, packageName: 'yaml', installedVersion: '1.0' }),
    )
    const result = await convert(envelope({ packages, vulnerabilities: said }), ASKED)
    expect(packagesOf(result)).toHaveLength(2)
    expect(result!.findings.map((each) => result!.packages[each.package]!.type)).toEqual(['pypi', 'npm'])
  })

  it('of one image have the one distribution that any of them names', async () => {
    const packages = [
      {
        name: 'bash',
        version: '5',
        type: 'deb',
        source: 'syft',
        purl: 'pkg:deb/debian/bash@5?distro=debian-12',
      },
      { name: 'tar', version: '1', type: 'deb', source: 'syft' },
    ]
    const result = await convert(envelope({ packages }), ASKED)
    expect(result!.packages.map(({ distro }) => distro)).toEqual(['debian-12', 'debian-12'])
  })
})

describe('findings of an envelope 1.0', () => {
  it.each(IMAGES)('of %s are all kept, each on a listed package', async (image) => {
    const document = sensorEnvelope({ ...JOB, ...(await recordedReports(image)) })
    const result = await convert(document, ASKED)
    expect(result!.findings).toHaveLength(document.findings.vulnerabilities.length)
    expect(result!.packages).toHaveLength(document.findings.packages.length)
  })

  it.each([
    ['CRITICAL', 'CRITICAL'],
    ['medium', 'MEDIUM'],
    ['INFO', 'UNKNOWN'],
    ['NEGLIGIBLE', 'UNKNOWN'],
    ['Unknown', 'UNKNOWN'],
    ['whatever', 'UNKNOWN'],
    [undefined, 'UNKNOWN'],
    [7, 'UNKNOWN'],
  ])('of severity %s are %s', async (severity, shown) => {
    const result = await convert(envelope({ vulnerabilities: [finding({ severity })] }), ASKED)
    expect(result!.findings[0]!.severity).toBe(shown)
  })

  it('without an id are left out, and the log says how many', async () => {
    const said = [finding({ cveId: '' }), finding({ cveId: undefined }), finding()]
    const result = await convert(envelope({ vulnerabilities: said }), ASKED)
    expect(result!.findings).toHaveLength(1)
    expect(result!.logs.some((text) => text.includes('(2)'))).toBe(true)
  })

  it('of osv on a package called unknown stay findings on a package called unknown', async () => {
    const said = finding({ source: 'osv', packageName: 'unknown', installedVersion: undefined })
    const result = await convert(envelope({ vulnerabilities: [said] }), ASKED)
    expect(result!.packages).toMatchObject([
      { type: 'generic', name: 'unknown', version: '', listedBy: ['osv'] },
    ])
  })

  it('on a package that no list has get one, made once', async () => {
    const said = [finding(), finding({ cveId: 'CVE-2026-2', source: 'grype' })]
    const result = await convert(envelope({ vulnerabilities: said }), ASKED)
    expect(result!.packages).toMatchObject([
      { name: 'openssl', version: '3.0.2', listedBy: ['trivy', 'grype'] },
    ])
    expect(result!.findings.map((each) => each.package)).toEqual([0, 0])
  })

  it('meet their package whichever way engines write its name and version', async () => {
    const packages = [
      {
        name: 'PyYAML',
        version: '5.3.1',
        type: 'python-pkg',
        source: 'trivy',
        purl: 'pkg:pypi/pyyaml@5.3.1',
      },
      {
        name: 'log4j-core',
        version: '2.14.1',
        type: 'java-archive',
        source: 'syft',
        purl: 'pkg:maven/org.log/log4j-core@2.14.1',
      },
      {
        name: 'stdlib',
        version: 'go1.26.8',
        type: 'go-module',
        source: 'syft',
        purl: 'pkg:golang/stdlib@1.26.8',
      },
    ]
    const said = [
      finding({ source: 'grype', packageName: 'pyyaml', installedVersion: '5.3.1' }),
      finding({ packageName: 'org.log:log4j-core', installedVersion: '2.14.1' }),
      finding({ packageName: 'stdlib', installedVersion: 'v1.26.8' }),
    ]
    const result = await convert(envelope({ packages, vulnerabilities: said }), ASKED)
    expect(result!.findings.map((each) => each.package)).toEqual([0, 1, 2])
  })

  it('keep score, fix, title and link, and an advisory has the richest text of its records', async () => {
    const rich = finding({ title: 'A flaw', description: 'Long.', vulnerabilityUrl: 'https://example.org/1' })
    const poor = finding({ source: 'grype', cvssScore: 7.5, fixedVersion: '3.0.3, 3.1.0', title: '' })
    const result = await convert(envelope({ vulnerabilities: [poor, rich] }), ASKED)
    expect(result!.vulnerabilities).toMatchObject([
      { id: 'CVE-2026-1', title: 'A flaw', description: 'Long.', links: ['https://example.org/1'] },
    ])
    expect(result!.findings[0]).toMatchObject({ fixState: 'fixed', fixedVersions: ['3.0.3', '3.1.0'] })
    expect(result!.findings[0]!.cvss[0]).toMatchObject({ score: 7.5 })
    expect(result!.findings[1]).toMatchObject({ fixState: 'unknown', fixedVersions: [], cvss: [] })
  })
})

describe('engines of an envelope 1.0', () => {
  const statesOf = (result: Raw) =>
    Object.fromEntries(result.engines.map(({ name, status }: Raw) => [name, status]))
  const grypeOnly = { vulnerabilities: [finding({ source: 'grype' })] }
  const status = (value: string) => ({ scan: { id: 'job', status: value } })

  it('have all succeeded with SUCCESS, as many as were asked for', async () => {
    const result = await convert(envelope({}, status('SUCCESS')), ASKED)
    expect(statesOf(result)).toEqual({ trivy: 'succeeded', grype: 'succeeded', syft: 'succeeded' })
  })

  it('have succeeded with PARTIAL where a record of them is there, and only there', async () => {
    const result = await convert(envelope(grypeOnly, status('PARTIAL')), ASKED)
    expect(statesOf(result)).toEqual({ trivy: 'failed', grype: 'succeeded', syft: 'failed' })
  })

  it('have not succeeded with FAILED, whatever is there', async () => {
    const result = await convert(envelope(grypeOnly, status('FAILED')), ASKED)
    expect(statesOf(result)).toEqual({ trivy: 'failed', grype: 'failed', syft: 'failed' })
    expect(result!.scan.status).toBe('FAILED')
  })

  it('are those that the sensor has where nobody asked, but for those not installed', async () => {
    const scannerVersions = { trivy: 'Version: 0.69.3', grype: 'unknown', dive: 'dive 0.13.1' }
    const result = await convert(
      envelope({}, { ...status('SUCCESS'), sensor: { version: '1', scannerVersions } }),
    )
    expect(statesOf(result)).toEqual({ trivy: 'succeeded', dive: 'succeeded' })
    expect(result!.engines[0]!.version).toBe('Version: 0.69.3')
  })

  it('that are not installed are unavailable, not failed', async () => {
    const sensor = { version: '1', scannerVersions: { trivy: '1', grype: 'unknown' } }
    const result = await convert(envelope({}, { ...status('PARTIAL'), sensor }), ASKED)
    expect(statesOf(result).grype).toBe('unavailable')
  })

  it('name no database', async () => {
    const result = await convert(envelope({}), ASKED)
    expect(result!.engines.map(({ database }) => database)).toEqual([null, null, null])
  })
})

describe('what else an envelope 1.0 holds', () => {
  it('is logged: compliance and efficiency, and what the sensor says, in bounded lines', async () => {
    const compliance = [
      { ruleId: 'CIS-DI-0001', ruleName: 'Create a user', severity: 'MEDIUM', source: 'dockle' },
    ]
    const efficiency = Array.from({ length: 300 }, () => ({
      findingType: 'large_layer',
      severity: 'INFO',
      source: 'dive',
    }))
    const document = { ...envelope({}, { logs: ['x'.repeat(5000)] }) }
    Object.assign(document.findings, { compliance, efficiency })
    const result = await convert(document, [...ASKED, 'dockle', 'dive'])
    expect(result!.logs[0]).toBe('dockle MEDIUM CIS-DI-0001 Create a user')
    expect(result!.logs.length).toBeLessThanOrEqual(200)
    expect(Math.max(...result!.logs.map((text) => text.length))).toBeLessThanOrEqual(500)
  })

  it.each([
    ['registry.test/team/app@sha256:', true],
    ['sha256:', true],
    ['app@sha512:', false],
  ])('gives the digest of %s only where it is one', async (prefix, known) => {
    const hex = 'ab'.repeat(32)
    const result = await convert(envelope({}, { image: { ref: JOB.ref, digest: prefix + hex } }), ASKED)
    expect(result!.found.digest).toBe(known ? `sha256:${hex}` : null)
  })

  it.each([
    ['debian/amd64', 'linux/amd64'],
    ['linux/arm64', 'linux/arm64'],
    ['amd64', null],
    [undefined, null],
  ])('has the platform %s as %s', async (platform, shown) => {
    const result = await convert(envelope({}, { image: { ref: JOB.ref, platform } }), ASKED)
    expect(result!.found.platform).toBe(shown)
  })
})

describe('any document', () => {
  const record = fc.dictionary(
    fc.constantFrom(
      ...['cveId', 'source', 'severity', 'cvssScore', 'packageName', 'installedVersion', 'fixedVersion'],
      ...['name', 'version', 'type', 'purl', 'license', 'title', 'vulnerabilityUrl'],
    ),
    fc.oneof(
      fc.constantFrom(
        'trivy',
        'syft',
        'grype',
        'osv',
        'CVE-2026-1',
        'unknown',
        'deb',
        'pkg:deb/debian/a@1?distro=debian-12',
      ),
      fc.jsonValue({ maxDepth: 1 }),
      fc.string({ unit: 'binary', maxLength: 30 }),
    ),
  )
  const records = fc.oneof(
    { weight: 5, arbitrary: fc.array(fc.oneof({ weight: 5, arbitrary: record }, fc.jsonValue())) },
    fc.jsonValue(),
  )
  const anyEnvelope = fc.record(
    {
      version: fc.constant('1.0'),
      sensor: fc.oneof(fc.jsonValue(), fc.record({ scannerVersions: fc.jsonValue() })),
      image: fc.jsonValue(),
      scan: fc.oneof(
        fc.jsonValue(),
        fc.record({ id: fc.jsonValue(), status: fc.constantFrom('SUCCESS', 'PARTIAL', 'x') }),
      ),
      findings: fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record(
            { vulnerabilities: records, packages: records, compliance: records },
            { requiredKeys: [] },
          ),
        },
        fc.jsonValue(),
      ),
      logs: fc.jsonValue(),
    },
    { requiredKeys: ['version'] },
  )

  it('is a valid result, or none: never an error, and the same at every reading and slicing', async () => {
    await fc.assert(
      fc.asyncProperty(anyEnvelope, fc.integer({ min: 1, max: 40 }), async (document, size) => {
        const json = JSON.parse(JSON.stringify(document))
        const whole = await convert(json, ASKED)
        expect(whole).not.toBeNull()
        expect(await convert(json, ASKED, size)).toEqual(whole)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps every finding that names an engine and an id', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record), fc.array(record), async (vulnerabilities, packages) => {
        const result = await convert(envelope({ vulnerabilities, packages }), ASKED)
        const isNamed = ({ source, cveId }: Raw) =>
          ['trivy', 'grype', 'osv'].includes(source) && typeof cveId === 'string' && /^[!-~]/.test(cveId)
        expect(result!.findings.length).toBeGreaterThanOrEqual(vulnerabilities.filter(isNamed).length)
      }),
      { numRuns: 200 },
    )
  })

  it('that is too large for memory is read in slices, to the same result', async () => {
    const reports = await recordedReports('sample-amd64')
    const document = sensorEnvelope({ ...JOB, ...reports })
    const padding = { ...document, findings: { ...document.findings } }
    padding.findings.vulnerabilities = document.findings.vulnerabilities.map((each, at) => ({
      ...each,
      padding: at < 20 ? 'é'.repeat(250_000) : '',
    }))
    expect(await convert(padding, ASKED)).toEqual(await convert(document, ASKED))
  })

  it.each([
    ['a second findings', '{"version":"1.0","findings":{},"findings":{"packages":[]}}'],
    ['a second list', '{"version":"1.0","findings":{"packages":[{"name":"a"}],"packages":[]}}'],
    ['a broken record', '{"version":"1.0","findings":{"packages":[{"name":}]}}'],
    ['a broken end', '{"version":"1.0","findings":{"packages":[]}'],
    ['text behind it', '{"version":"1.0","findings":{}} x'],
    ['a depth beyond all bounds', `{"version":"1.0","logs":${'['.repeat(5000)}${']'.repeat(5000)}}`],
  ])('with %s is none', async (_, text) => {
    expect(await convert(text, ASKED)).toBeNull()
  })

  it('with findings on more packages than any image has is none', async () => {
    const many = Array.from({ length: 50_001 }, (_, at) => finding({ packageName: `p${at}` }))
    expect(await convert(envelope({ vulnerabilities: many }), ASKED)).toBeNull()
    expect(await convert(envelope({ vulnerabilities: many.slice(0, 100) }), ASKED)).not.toBeNull()
  })

  it('whose members come in another order is the same', async () => {
    const document = sensorEnvelope({ ...JOB, ...(await recordedReports('alpine')) })
    const { version, findings, ...rest } = document
    const { vulnerabilities, packages, ...more } = findings
    const other = { ...rest, findings: { ...more, packages, vulnerabilities }, version }
    expect(await convert(other, ASKED)).toEqual(await convert(document, ASKED))
  })

  it('of another version is none', async () => {
    expect(await convert({ version: '2.0' })).toBeNull()
    expect(await convert(null)).toBeNull()
    expect(await convert([])).toBeNull()
  })
})
