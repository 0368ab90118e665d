import { describe, expect, it } from 'vitest'
import { match } from './crafted-yaml.ts'
import { at, debian, grypeReport, LAYER, normalise, syftReport, told, trivyReport, UPPER } from './reports.ts'

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

  it('goes to the listed package of its own source where two have its name and version', () => {
    const ng = { ...zlib, id: 'y', metadata: { source: 'zlib-ng', sourceVersion: '' } }
    const trivy = trivyReport(os([{ ...deb, SrcName: 'zlib-ng' }]), debian)
    const { packages } = normalise({ trivy, syft: syftReport([zlib, ng], { distro: {} }) })
    expect(packages.map((pkg) => [pkg.source?.name, pkg.distro, pkg.listedBy])).toEqual([
      ['zlib', null, ['syft']],
      ['zlib-ng', 'debian-12', ['trivy', 'syft']],
    ])
  })

  it('in two package databases has both paths and no third place for the layer', () => {
    const twice = {
      ...zlib,
      locations: [at('/var/lib/dpkg/status'), at('/chroot/var/lib/dpkg/status', UPPER)],
    }
    const { packages } = normalise({ trivy: trivyReport(os([deb]), debian), syft: syftReport([twice]) })
    expect(packages[0]!.locations).toEqual([
      { path: '/chroot/var/lib/dpkg/status', layer: UPPER },
      { path: '/var/lib/dpkg/status', layer: LAYER },
    ])
  })

  it('of rpm has the same source by either engine: without the epoch that trivy adds', () => {
    const purl = 'pkg:rpm/redhat/bind-libs@9.11-2.el8?epoch=32'
    const rpm = {
      Name: 'bind-libs',
      Version: '9.11',
      Release: '2.el8',
      Epoch: 32,
      SrcName: 'bind',
      SrcVersion: '9.11',
      SrcRelease: '2.el8',
      SrcEpoch: 32,
      Identifier: { PURL: purl },
    }
    const entry = {
      id: 'b',
      name: 'bind-libs',
      version: '32:9.11-2.el8',
      type: 'rpm',
      purl,
      metadata: { sourceRpm: 'bind-9.11-2.el8.src.rpm' },
    }
    const rhel = { distro: { id: 'rhel', versionID: '8.4' } }
    const identities = (reports: object) =>
      normalise(reports).packages.map(({ listedBy: _b, ...identity }) => identity)
    const byTrivy = identities({
      trivy: trivyReport(os([rpm], [], 'redhat'), { Family: 'redhat', Name: '8.4' }),
    })
    expect(byTrivy).toEqual(identities({ syft: syftReport([entry], rhel) }))
    expect(byTrivy).toMatchObject([
      { version: '32:9.11-2.el8', source: { name: 'bind', version: '9.11-2.el8' } },
    ])
  })

  it('and the file that it was installed from, still in the image, are one package in two places', () => {
    const purl = 'pkg:deb/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&upstream=zlib'
    const file = { ...zlib, id: 'f', purl, locations: [at('/var/cache/apt/archives/zlib1g.deb', UPPER)] }
    const grype = grypeReport([match('CVE-2023-45853', zlib), match('CVE-2023-45853', file)])
    const result = normalise({ syft: syftReport([zlib, file]), grype })
    expect(result.packages.map((pkg) => [pkg.namespace, pkg.locations.map((where) => where.path)])).toEqual([
      ['debian', ['/var/cache/apt/archives/zlib1g.deb', '/var/lib/dpkg/status']],
    ])
    expect(told(result)).toEqual(['grype CVE-2023-45853 deb/zlib1g@1:1.2.13.dfsg-1'])
  })
})
