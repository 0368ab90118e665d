import { describe, expect, it } from 'vitest'
import { BY_PIP, METADATA, match, ownership, python, python3Yaml, trivyFound, yaml } from './crafted-yaml.ts'
import { at, grypeReport, LAYER, normalise, syftReport, trivyReport } from './reports.ts'

describe('a package inside another file', () => {
  it('in a jar in a jar is the same for trivy and syft', () => {
    const purl = 'pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1'
    const inner = 'opt/app.jar/BOOT-INF/lib/log4j-core-2.14.1.jar'
    const trivy = trivyReport([
      {
        Target: 'Java',
        Class: 'lang-pkgs',
        Type: 'jar',
        Packages: [
          {
            Name: 'org.apache.logging.log4j:log4j-core',
            Version: '2.14.1',
            Identifier: { PURL: purl },
            FilePath: inner,
          },
        ],
      },
    ])
    const syft = syftReport(
      [
        python3Yaml,
        {
          id: 'owned',
          name: 'log4j-core',
          version: '2.14.1',
          type: 'java-archive',
          purl,
          locations: [at('/opt/app.jar')],
        },
      ],
      ownership,
    )
    expect(
      normalise({ trivy, syft })
        .packages.filter((pkg) => pkg.type === 'maven')
        .map((pkg) => [pkg.namespace, pkg.owner, pkg.listedBy]),
    ).toEqual([['org.apache.logging.log4j', 'python3-yaml', ['trivy', 'syft']]])
  })

  it('in a Go binary lies at the path of the binary', () => {
    const trivy = trivyReport([
      {
        Target: 'usr/local/bin/hello',
        Class: 'lang-pkgs',
        Type: 'gobinary',
        Packages: [
          {
            Name: 'stdlib',
            Version: 'v1.26.8',
            Identifier: { PURL: 'pkg:golang/stdlib@v1.26.8' },
            Layer: { DiffID: LAYER },
          },
        ],
      },
    ])
    expect(normalise({ trivy }).packages[0]).toMatchObject({
      version: '1.26.8',
      locations: [{ path: '/usr/local/bin/hello', layer: LAYER }],
    })
  })
})

describe('what only one engine names', () => {
  it('is kept: a package that only a finding names is listed by the engine that names it', () => {
    const grype = grypeReport([match('CVE-2020-14343', yaml('x', BY_PIP))])
    const trivy = trivyReport([
      {
        Target: 'Python',
        Class: 'lang-pkgs',
        Type: 'python-pkg',
        Vulnerabilities: [trivyFound(METADATA, { PkgIdentifier: null, PkgName: 'Other' })],
      },
    ])
    const { packages } = normalise({ grype, trivy })
    expect(packages.map((pkg) => [pkg.name, pkg.listedBy, pkg.locations[0]?.path])).toEqual([
      ['other', ['trivy'], `/${METADATA}`],
      ['pyyaml', ['grype'], `/${BY_PIP}`],
    ])
  })

  it('is kept without a purl, and what a binary classifier found is a generic package', () => {
    const { packages } = normalise({
      syft: syftReport([
        { id: 'b', name: 'busybox', version: '1.36', type: 'binary', purl: 'pkg:generic/busybox@1.36' },
        { id: 'w', name: 'thing', version: '', type: 'mystery' },
      ]),
    })
    expect(packages.map((pkg) => `${pkg.type}/${pkg.name}@${pkg.version}`)).toEqual([
      'generic/busybox@1.36',
      'generic/thing@',
    ])
  })

  it('is nothing where trivy leaves Results and Vulnerabilities out', () => {
    expect(normalise({ trivy: trivyReport(undefined), grype: grypeReport([]) })).toMatchObject({
      packages: [],
      findings: [],
    })
    expect(normalise({ trivy: trivyReport([{ Target: 'Python', Class: 'lang-pkgs' }]) }).packages).toEqual([])
  })

  it('is not listed by the engine that only finds something in it', () => {
    const grype = grypeReport([match('CVE-2020-14343', yaml('x', METADATA))])
    const { packages } = normalise({ trivy: python([BY_PIP]), grype })
    expect(packages.map((pkg) => [pkg.listedBy, pkg.locations.map((where) => where.path)])).toEqual([
      [['trivy'], [`/${BY_PIP}`]],
    ])
  })
})
