import { describe, expect, it } from 'vitest'
import { found, match, trivy } from './crafted-lodash.ts'
import { grypeReport, normalise } from './reports.ts'

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
