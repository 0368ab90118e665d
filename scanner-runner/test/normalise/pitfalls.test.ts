import { describe, expect, it } from 'vitest'
import { at, debian, grypeReport, LAYER, normalise, syftReport, told, trivyReport, UPPER } from './reports.ts'

const METADATA = 'usr/lib/python3/dist-packages/PyYAML-5.3.1.dist-info/METADATA'
const BY_PIP = 'usr/local/lib/python3.11/site-packages/PyYAML-5.3.1.dist-info/METADATA'
const YAML = 'pkg:pypi/pyyaml@5.3.1'

const yaml = (id: string, path: string) => ({
  id,
  name: 'pyyaml',
  version: '5.3.1',
  type: 'python',
  purl: YAML,
  locations: [at(`/${path}`)],
})
const python3Yaml = {
  id: 'd',
  name: 'python3-yaml',
  version: '5.3.1-1',
  type: 'deb',
  purl: 'pkg:deb/debian/python3-yaml@5.3.1-1',
  locations: [at('/var/lib/dpkg/status')],
  metadata: { source: 'pyyaml', sourceVersion: '' },
}
const ownership = {
  artifactRelationships: [
    { parent: 'd', child: 'owned', type: 'ownership-by-file-overlap', metadata: { files: [METADATA] } },
  ],
}
const twins = syftReport([python3Yaml, yaml('owned', METADATA), yaml('free', BY_PIP)], ownership)

const trivyYaml = (path: string) => ({
  Name: 'PyYAML',
  Version: '5.3.1',
  Identifier: { PURL: YAML, UID: path },
  FilePath: path,
  Layer: { DiffID: LAYER },
})
const trivyFound = (path: string, more: object = {}) => ({
  VulnerabilityID: 'CVE-2020-14343',
  PkgName: 'PyYAML',
  PkgPath: path,
  PkgIdentifier: { PURL: YAML, UID: path },
  InstalledVersion: '5.3.1',
  Severity: 'CRITICAL',
  ...more,
})
const python = (paths: string[], found: object[] = []) =>
  trivyReport(
    [
      {
        Target: 'Python',
        Class: 'lang-pkgs',
        Type: 'python-pkg',
        Packages: paths.map(trivyYaml),
        Vulnerabilities: found,
      },
    ],
    debian,
  )
const match = (id: string, artifact: object, related: string[] = [], more: object = {}) => ({
  vulnerability: { id, severity: 'High', namespace: 'github:language:python', ...more },
  relatedVulnerabilities: related.map((cve) => ({ id: cve, namespace: 'nvd:cpe' })),
  artifact,
})

describe('two copies of one version of which an OS package owns one', () => {
  const both = {
    syft: twins,
    trivy: python([BY_PIP], [trivyFound(BY_PIP)]),
    grype: grypeReport([match('GHSA-8q59-q68h-6hv4', yaml('free', BY_PIP), ['CVE-2020-14343'])]),
  }

  it('stay two packages, and findings go to the copy that the engines name', () => {
    const result = normalise(both)
    expect(result.packages.map((pkg) => [pkg.name, pkg.owner, pkg.listedBy])).toEqual([
      ['python3-yaml', null, ['syft']],
      ['pyyaml', null, ['trivy', 'syft']],
      ['pyyaml', 'python3-yaml', ['syft']],
    ])
    expect(told(result)).toEqual([
      'trivy CVE-2020-14343 pypi/pyyaml@5.3.1',
      'grype CVE-2020-14343 pypi/pyyaml@5.3.1',
    ])
  })

  it('are told apart by path alone, when grype did not read that SBOM', () => {
    const grype = grypeReport([match('GHSA-8q59-q68h-6hv4', yaml('other', METADATA), ['CVE-2020-14343'])])
    expect(told(normalise({ ...both, trivy: python([METADATA], [trivyFound(METADATA)]), grype }))).toEqual([
      'trivy CVE-2020-14343 pypi/pyyaml@5.3.1 of python3-yaml',
      'grype CVE-2020-14343 pypi/pyyaml@5.3.1 of python3-yaml',
    ])
  })

  it('are not confused when syft lists the owned one only: what trivy names elsewhere is another copy', () => {
    const syft = syftReport([python3Yaml, yaml('owned', METADATA)], ownership)
    expect(told(normalise({ syft, trivy: python([BY_PIP], [trivyFound(BY_PIP)]) }))).toEqual([
      'trivy CVE-2020-14343 pypi/pyyaml@5.3.1',
    ])
  })

  it('are one package where a finding names no path and the owned copy is the only one', () => {
    const syft = syftReport([python3Yaml, yaml('owned', METADATA)], ownership)
    const grype = grypeReport([match('CVE-2020-14343', { ...yaml('?', ''), locations: [] })])
    expect(told(normalise({ syft, grype }))).toEqual([
      'grype CVE-2020-14343 pypi/pyyaml@5.3.1 of python3-yaml',
    ])
  })
})

describe('the package of an OS', () => {
  const deb = {
    Name: 'zlib1g',
    Version: '1.2.13.dfsg',
    Release: '1',
    Epoch: 1,
    SrcName: 'zlib',
    SrcVersion: '1.2.13.dfsg',
    SrcRelease: '1',
    SrcEpoch: 1,
    Identifier: { PURL: 'pkg:deb/debian/zlib1g@1.2.13.dfsg-1?arch=amd64&distro=debian-12.5&epoch=1' },
    Layer: { DiffID: LAYER },
  }
  const os = (packages: object[], found: object[] = [], type = 'debian') => [
    {
      Target: '/job/image (debian 12.5)',
      Class: 'os-pkgs',
      Type: type,
      Packages: packages,
      Vulnerabilities: found,
    },
  ]
  const zlib = {
    id: 'z',
    name: 'zlib1g',
    version: '1:1.2.13.dfsg-1',
    type: 'deb',
    purl: 'pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12&upstream=zlib',
    locations: [
      at('/var/lib/dpkg/status', UPPER),
      { path: '/usr/share/doc/zlib1g/copyright', layerID: UPPER, annotations: { evidence: 'supporting' } },
    ],
    metadata: { source: 'zlib', sourceVersion: '' },
  }

  it("has syft's path and the layer that trivy says brought it", () => {
    const { packages } = normalise({ trivy: trivyReport(os([deb]), debian), syft: syftReport([zlib]) })
    expect(packages).toEqual([
      {
        type: 'deb',
        namespace: 'debian',
        name: 'zlib1g',
        version: '1:1.2.13.dfsg-1',
        distro: 'debian-12',
        source: { name: 'zlib', version: '1:1.2.13.dfsg-1' },
        module: null,
        owner: null,
        licenses: [],
        listedBy: ['trivy', 'syft'],
        locations: [{ path: '/var/lib/dpkg/status', layer: LAYER }],
      },
    ])
  })

  it('has only the layer where only trivy lists it, and never the path of the report', () => {
    const { packages } = normalise({ trivy: trivyReport(os([deb]), debian) })
    expect(packages[0]!.locations).toEqual([{ path: '', layer: LAYER }])
  })

  it.each(['debian-12', 'debian-11'])('of %s is another package than that of the other release', (distro) => {
    const { packages } = normalise({
      trivy: trivyReport(os([deb]), { Family: 'debian', Name: distro.slice(7) }),
    })
    expect(packages[0]!.distro).toBe(distro)
  })

  it('built from another source package is another package', () => {
    const other = { ...deb, SrcName: 'zlib-ng' }
    expect(
      normalise({ trivy: trivyReport(os([deb, other]), debian) }).packages.map((pkg) => pkg.source?.name),
    ).toEqual(['zlib', 'zlib-ng'])
  })

  it("has syft's source where the engines differ, and one row", () => {
    const trivy = trivyReport(os([{ ...deb, SrcName: 'zlib-ng' }]), debian)
    expect(
      normalise({ trivy, syft: syftReport([zlib]) }).packages.map((pkg) => [
        pkg.source?.name,
        pkg.listedBy.length,
      ]),
    ).toEqual([['zlib', 2]])
  })

  it('without a purl (no os-release) is the package that trivy names, with the distribution that trivy knows', () => {
    const bare = { ...zlib, purl: '' }
    const { packages } = normalise({
      trivy: trivyReport(os([deb]), debian),
      syft: syftReport([bare], { distro: {} }),
    })
    expect(packages.map((pkg) => [pkg.type, pkg.namespace, pkg.distro, pkg.listedBy.length])).toEqual([
      ['deb', 'debian', 'debian-12', 2],
    ])
  })

  it('is found where trivy knows no distribution (no debian_version)', () => {
    const grype = grypeReport([
      match('CVE-2023-45853', zlib, [], { namespace: 'debian:distro:debian:12', severity: 'Negligible' }),
    ])
    expect(told(normalise({ trivy: trivyReport(undefined), syft: syftReport([zlib]), grype }))).toEqual([
      'grype CVE-2023-45853 deb/zlib1g@1:1.2.13.dfsg-1',
    ])
  })

  it('takes fixed versions of the source package as they are: never compared', () => {
    const found = {
      VulnerabilityID: 'CVE-2024-28085',
      PkgName: 'zlib1g',
      InstalledVersion: '1:1.2.13.dfsg-1',
      PkgIdentifier: deb.Identifier,
      Status: 'fixed',
      FixedVersion: '1.0, 0.9,0.9',
      Severity: 'HIGH',
    }
    const { findings } = normalise({ trivy: trivyReport(os([deb], [found]), debian) })
    expect(findings.map((finding) => finding.fixedVersions)).toEqual([['1.0', '0.9']])
  })

  it('has the module label of its purl, which syft need not know', () => {
    const purl = 'pkg:rpm/redhat/nodejs@10.19.0-1.module%2Bel8?epoch=1&modularitylabel=nodejs:10:8020:6a46'
    const rpm = {
      Name: 'nodejs',
      Version: '10.19.0',
      Release: '1.module+el8',
      Epoch: 1,
      SrcName: 'nodejs',
      SrcVersion: '10.19.0',
      SrcRelease: '1.module+el8',
      SrcEpoch: 1,
      Identifier: { PURL: purl },
    }
    const syft = {
      id: 'n',
      name: 'nodejs',
      version: '1:10.19.0-1.module+el8',
      type: 'rpm',
      purl: 'pkg:rpm/redhat/nodejs@10.19.0-1.module%2Bel8?epoch=1',
      locations: [at('/var/lib/rpm/rpmdb.sqlite')],
      metadata: { sourceRpm: 'nodejs-10.19.0-1.module+el8.src.rpm', modularityLabel: null },
    }
    const rhel = { distro: { id: 'rhel', versionID: '8.4' } }
    const { packages } = normalise({
      trivy: trivyReport(os([rpm], [], 'redhat'), { Family: 'redhat', Name: '8.4' }),
      syft: syftReport([syft], rhel),
    })
    expect(
      packages.map(({ version, distro, module, source, listedBy }) => ({
        version,
        distro,
        module,
        source,
        listedBy,
      })),
    ).toEqual([
      {
        version: '1:10.19.0-1.module+el8',
        distro: 'rhel-8',
        module: 'nodejs:10:8020:6a46',
        source: { name: 'nodejs', version: '10.19.0-1.module+el8' },
        listedBy: ['trivy', 'syft'],
      },
    ])
    const labels = normalise({
      trivy: trivyReport(
        os([rpm, { ...rpm, Identifier: { PURL: purl.replace(':10:', ':12:') } }], [], 'redhat'),
        { Family: 'redhat', Name: '8.4' },
      ),
    })
    expect(labels.packages).toHaveLength(2)
  })
})

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
})
