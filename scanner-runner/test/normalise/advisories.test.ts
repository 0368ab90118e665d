import { describe, expect, it } from 'vitest'
import { debian, grypeReport, normalise, type Raw, told, trivyReport } from './reports.ts'

const artifact = (name = 'lodash') => ({
  name,
  version: '1.0.0',
  type: 'npm',
  purl: `pkg:npm/${name}@1.0.0`,
  locations: [],
})
const match = (id: string, related: Raw[] = [], vulnerability: Raw = {}, name?: string) => ({
  vulnerability: { id, severity: 'High', namespace: 'github:language:javascript', ...vulnerability },
  relatedVulnerabilities: related.map((record) =>
    typeof record === 'string' ? { id: record, namespace: 'nvd:cpe' } : record,
  ),
  artifact: artifact(name),
})
const found = (id: string, vendorIds: string[] = [], more: Raw = {}) => ({
  VulnerabilityID: id,
  VendorIDs: vendorIds,
  PkgName: 'lodash',
  InstalledVersion: '1.0.0',
  PkgIdentifier: { PURL: 'pkg:npm/lodash@1.0.0' },
  Severity: 'HIGH',
  ...more,
})
const trivy = (...vulnerabilities: object[]) =>
  trivyReport(
    [{ Target: 'Node.js', Class: 'lang-pkgs', Type: 'node-pkg', Vulnerabilities: vulnerabilities }],
    debian,
  )
const ids = (reports: object) => told(normalise(reports)).map((text) => text.replace(/ npm.*/, ''))

describe('a finding is kept under', () => {
  it('the CVE that its own aliases name', () => {
    expect(ids({ grype: grypeReport([match('GHSA-aaaa-bbbb-cccc', ['CVE-2020-0001'])]) })).toEqual([
      'grype CVE-2020-0001',
    ])
  })

  it("the CVE that the other engine's aliases name", () => {
    expect(
      ids({
        trivy: trivy(found('CVE-2020-0001', ['GHSA-aaaa-bbbb-cccc'])),
        grype: grypeReport([match('GHSA-aaaa-bbbb-cccc')]),
      }),
    ).toEqual(['trivy CVE-2020-0001', 'grype CVE-2020-0001'])
    expect(
      ids({
        trivy: trivy(found('GHSA-aaaa-bbbb-cccc')),
        grype: grypeReport([match('GHSA-aaaa-bbbb-cccc', ['CVE-2020-0001'])]),
      }),
    ).toEqual(['trivy CVE-2020-0001', 'grype CVE-2020-0001'])
  })

  it('the CVE that an alias of its alias names', () => {
    expect(
      ids({
        trivy: trivy(found('GO-2020-0001', ['GHSA-aaaa-bbbb-cccc'])),
        grype: grypeReport([match('GHSA-aaaa-bbbb-cccc', ['CVE-2020-0001'])]),
      }),
    ).toEqual(['trivy CVE-2020-0001', 'grype CVE-2020-0001'])
  })

  it('each CVE where its aliases name several, with the words about that one', () => {
    const result = normalise({
      grype: grypeReport([
        match('GHSA-aaaa-bbbb-cccc', [
          {
            id: 'CVE-2020-0001',
            description: 'one',
            cvss: [
              { source: 'nvd@nist.gov', version: '3.1', vector: 'CVSS:3.1/1', metrics: { baseScore: 1 } },
            ],
          },
          {
            id: 'CVE-2020-0002',
            description: 'two',
            cvss: [
              { source: 'nvd@nist.gov', version: '3.1', vector: 'CVSS:3.1/2', metrics: { baseScore: 2 } },
            ],
          },
        ]),
      ]),
    })
    expect(told(result).map((text) => text.slice(6, 19))).toEqual(['CVE-2020-0001', 'CVE-2020-0002'])
    expect(result.vulnerabilities.map((v) => [v.description, v.aliases])).toEqual([
      ['one', ['GHSA-aaaa-bbbb-cccc']],
      ['two', ['GHSA-aaaa-bbbb-cccc']],
    ])
    expect(result.findings.map((finding) => finding.cvss.map((score) => score.score))).toEqual([[1], [2]])
  })

  it("the engine's own id where no alias names a CVE", () => {
    expect(
      ids({ trivy: trivy(found('NSWG-ECO-516')), grype: grypeReport([match('GHSA-aaaa-bbbb-cccc')]) }),
    ).toEqual(['trivy NSWG-ECO-516', 'grype GHSA-aaaa-bbbb-cccc'])
  })

  it.each([
    'DSA-5500-1',
    'DLA-3482-1',
    'RLSA-2022:1',
    'ELSA-2022-1',
    'ALAS-2022-1',
    'RHSA-2022:1',
    'USN-1-1',
  ])('its own CVE although %s names two: such ids join nothing', (id) => {
    const result = normalise({
      trivy: trivy(found('CVE-2020-0001', [id]), found('CVE-2020-0002', [id]), found(id)),
    })
    expect(result.vulnerabilities.map((v) => v.id).sort()).toEqual(
      ['CVE-2020-0001', 'CVE-2020-0002', id].sort(),
    )
    expect(result.vulnerabilities.flatMap((v) => v.aliases)).toEqual([])
  })

  it("each CVE that a distribution's own record names for itself", () => {
    const elsa = match('ELSA-2022-1', ['CVE-2020-0001', 'CVE-2020-0002'], {
      namespace: 'oracle:distro:oraclelinux:8',
    })
    expect(ids({ grype: grypeReport([elsa]) })).toEqual(['grype CVE-2020-0001', 'grype CVE-2020-0002'])
  })

  it('one id once: two advisories of one CVE are one finding, the more severe in front', () => {
    const result = normalise({
      grype: grypeReport([
        match('GHSA-bbbb-bbbb-bbbb', ['CVE-2020-0001'], {
          severity: 'Low',
          fix: { state: 'fixed', versions: ['1.1'] },
        }),
        match('GHSA-cccc-cccc-cccc', ['CVE-2020-0001'], {
          severity: 'Critical',
          fix: { state: 'not-fixed', versions: [] },
        }),
      ]),
    })
    expect(result.findings).toMatchObject([
      { reportedId: 'GHSA-cccc-cccc-cccc', severity: 'CRITICAL', fixState: 'fixed', fixedVersions: ['1.1'] },
    ])
    expect(result.vulnerabilities[0]!.aliases).toEqual(['GHSA-bbbb-bbbb-bbbb', 'GHSA-cccc-cccc-cccc'])
  })
})

describe("an engine's words on a finding", () => {
  it.each([
    ['CRITICAL', 'CRITICAL'],
    ['Medium', 'MEDIUM'],
    ['Negligible', 'UNKNOWN'],
    ['INFO', 'UNKNOWN'],
    ['Unknown', 'UNKNOWN'],
    ['', 'UNKNOWN'],
  ])('severity %j is %s', (printed, severity) => {
    const { findings } = normalise({
      trivy: trivy(found('CVE-2020-0001', [], { Severity: printed })),
      grype: grypeReport([match('CVE-2020-0001', [], { severity: printed })]),
    })
    expect(findings.map((finding) => finding.severity)).toEqual([severity, severity])
  })

  it.each([
    ['fixed', 'fixed'],
    ['affected', 'not-fixed'],
    ['fix_deferred', 'not-fixed'],
    ['will_not_fix', 'wont-fix'],
    ['end_of_life', 'wont-fix'],
    ['under_investigation', 'unknown'],
    ['unknown', 'unknown'],
  ])("trivy's status %s is fix state %s", (status, fixState) => {
    expect(
      normalise({ trivy: trivy(found('CVE-2020-0001', [], { Status: status })) }).findings[0]!.fixState,
    ).toBe(fixState)
  })

  it.each([
    ['fixed', 'fixed'],
    ['not-fixed', 'not-fixed'],
    ['wont-fix', 'wont-fix'],
    ['unknown', 'unknown'],
    ['', 'unknown'],
  ])("grype's state %j is fix state %s", (state, fixState) => {
    expect(
      normalise({ grype: grypeReport([match('CVE-2020-0001', [], { fix: { state } })]) }).findings[0]!
        .fixState,
    ).toBe(fixState)
  })

  it('has the scores of trivy by source: nvd, then ghsa, then others, newest version first', () => {
    const CVSS = {
      redhat: { V3Vector: 'CVSS:3.0/R', V3Score: 5 },
      ghsa: { V40Vector: 'CVSS:4.0/G', V40Score: 7.7, V3Vector: 'CVSS:3.1/G', V3Score: 7.5 },
      nvd: { V2Vector: 'AV:N', V2Score: 9.3, V3Vector: 'CVSS:3.1/N', V3Score: 10 },
    }
    const { findings } = normalise({ trivy: trivy(found('CVE-2020-0001', [], { CVSS })) })
    expect(findings[0]!.cvss.map(({ source, version, score }) => [source, version, score])).toEqual([
      ['nvd', '3.1', 10],
      ['nvd', '2.0', 9.3],
      ['ghsa', '4.0', 7.7],
      ['ghsa', '3.1', 7.5],
      ['redhat', '3.0', 5],
    ])
  })

  it("has grype's scores by who gave them, the related record's among them", () => {
    const score = (source?: string, baseScore = 5) => ({
      source,
      version: '3.1',
      vector: `CVSS:3.1/${source}`,
      metrics: { baseScore },
    })
    const related = {
      id: 'CVE-2020-0001',
      namespace: 'nvd:cpe',
      cvss: [score('nvd@nist.gov'), score('security-advisories@github.com'), score(undefined, 4)],
    }
    const own = match('GHSA-aaaa-bbbb-cccc', [related], { cvss: [score(undefined, 3)] })
    const distro = match('CVE-2020-0002', [], {
      namespace: 'debian:distro:debian:12',
      cvss: [score(undefined, 2)],
    })
    const { findings } = normalise({ grype: grypeReport([own, distro]) })
    expect(
      findings.map((finding) => finding.cvss.map(({ source, score: value }) => `${source} ${value}`)),
    ).toEqual([['nvd 5', 'nvd 4', 'ghsa 5', 'ghsa 3'], ['debian 2']])
  })
})

describe("an advisory's text", () => {
  it("is trivy's, then grype's, with the links of both", () => {
    const { vulnerabilities } = normalise({
      trivy: trivy(
        found('CVE-2020-0001', ['GHSA-aaaa-bbbb-cccc'], {
          Title: 'title',
          PrimaryURL: 'https://t.example/1',
          References: ['https://t.example/2', 'ftp://no.example', '/job/image'],
          CweIDs: ['CWE-1'],
          PublishedDate: '2020-01-02T03:04:05.678Z',
          LastModifiedDate: '0001-01-01T00:00:00Z',
        }),
      ),
      grype: grypeReport([
        match('GHSA-aaaa-bbbb-cccc', ['CVE-2020-0001'], {
          description: 'text',
          dataSource: 'https://g.example/1',
          urls: ['https://t.example/2'],
          advisories: [{ id: 'DSA-1', link: 'https://d.example/DSA-1' }],
          cwes: [
            { cve: 'CVE-2020-0001', cwe: 'CWE-2' },
            { cve: 'CVE-2020-0009', cwe: 'CWE-3' },
          ],
        }),
      ]),
    })
    expect(vulnerabilities).toEqual([
      {
        id: 'CVE-2020-0001',
        aliases: ['GHSA-aaaa-bbbb-cccc'],
        title: 'title',
        description: 'text',
        links: [
          'https://t.example/1',
          'https://t.example/2',
          'https://g.example/1',
          'https://d.example/DSA-1',
        ],
        cwes: ['CWE-1', 'CWE-2'],
        publishedAt: '2020-01-02T03:04:05.678Z',
        modifiedAt: null,
      },
    ])
  })

  it.each([
    '2020-02-30T00:00:00Z',
    '2020-01-01',
    'soon',
    '2020-01-01T00:00:00+25:00',
    '0001-01-01T00:00:00Z',
  ])('has no date where the engine prints %j', (date) => {
    expect(
      normalise({ trivy: trivy(found('CVE-2020-0001', [], { PublishedDate: date })) }).vulnerabilities[0]!
        .publishedAt,
    ).toBeNull()
  })
})
