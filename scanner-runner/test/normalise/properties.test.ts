import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  at,
  grypeReport,
  IMAGES,
  LAYER,
  normalise,
  type Raw,
  recorded,
  syftReport,
  trivyReport,
  UPPER,
} from './reports.ts'

const NAMES = ['lodash', 'PyYAML', 'openssl']
const PATHS = ['app/a', 'app/b', 'usr/lib/c']
const CVES = ['CVE-2020-0001', 'CVE-2020-0002', 'CVE-2020-0003']
const GHSAS = ['GHSA-aaaa-aaaa-aaaa', 'GHSA-bbbb-bbbb-bbbb', 'DSA-5500-1']
const of = <T>(values: T[]) => fc.constantFrom(...values)
const some = <T>(one: fc.Arbitrary<T>) => fc.array(one, { maxLength: 6 })

const PURLS = new Map([
  ['lodash', { type: 'npm', purl: 'pkg:npm/lodash@1' }],
  ['PyYAML', { type: 'python', purl: 'pkg:pypi/pyyaml@1' }],
  ['openssl', { type: 'deb', purl: 'pkg:deb/debian/openssl@1' }],
])
const layerID = of([LAYER, UPPER])
const trivyPackage = fc.record({
  name: of(NAMES),
  path: of([...PATHS, null]),
  layer: layerID,
  source: of(['openssl', 'other']),
})
const trivyFinding = fc.record({
  id: of([...CVES, ...GHSAS]),
  vendor: some(of(GHSAS)),
  name: of(NAMES),
  path: of([...PATHS, null]),
  severity: of(['LOW', 'HIGH']),
  fixed: of(['', '2', '3, 2']),
})
const artifact = fc.record({ name: of(NAMES), path: of(PATHS), layer: layerID, owned: fc.boolean() })
const grypeMatch = fc.record({
  id: of([...CVES, ...GHSAS]),
  related: some(of([...CVES, ...GHSAS])),
  artifact: fc.nat(5),
  name: of(NAMES),
  path: of(PATHS),
  severity: of(['Low', 'High', 'Negligible']),
})

type Seed = { packages: Raw[]; found: Raw[]; artifacts: Raw[]; matches: Raw[] }
const seeds: fc.Arbitrary<Seed> = fc.record({
  packages: some(trivyPackage),
  found: some(trivyFinding),
  artifacts: some(artifact),
  matches: some(grypeMatch),
})

const idOf = (entry: Raw) => `${entry.name}:${entry.path}:${entry.layer}:${entry.owned}`
const purlOf = (name: string) => PURLS.get(name)!

function build({ packages, found, artifacts, matches }: Seed) {
  const result = (name: string) => (name === 'openssl' ? 0 : 1)
  const results: Raw[] = [
    {
      Target: '/job/image (debian 12.5)',
      Class: 'os-pkgs',
      Type: 'debian',
      Packages: [],
      Vulnerabilities: [],
    },
    { Target: 'Node.js', Class: 'lang-pkgs', Type: 'node-pkg', Packages: [], Vulnerabilities: [] },
  ]
  for (const { name, path, layer, source } of packages)
    results[result(name)].Packages.push({
      Name: name,
      Version: '1',
      Identifier: { PURL: purlOf(name).purl, UID: `${name}${path}${layer}${source}` },
      FilePath: name === 'openssl' ? undefined : path,
      Layer: { DiffID: layer },
      ...(name === 'openssl' && { SrcName: source, SrcVersion: '1' }),
    })
  for (const { id, vendor, name, path, severity, fixed } of found)
    results[result(name)].Vulnerabilities.push({
      VulnerabilityID: id,
      VendorIDs: vendor,
      PkgName: name,
      InstalledVersion: '1',
      PkgIdentifier: { PURL: purlOf(name).purl },
      PkgPath: name === 'openssl' ? undefined : path,
      Severity: severity,
      FixedVersion: fixed,
    })
  const list = artifacts.map((entry) => ({
    id: idOf(entry),
    name: entry.name,
    version: '1',
    ...purlOf(entry.name),
    locations: [at(`/${entry.path}`, entry.layer)],
  }))
  const owner = {
    id: 'owner',
    name: 'python3-owner',
    version: '1',
    type: 'deb',
    purl: 'pkg:deb/debian/python3-owner@1',
  }
  const artifactRelationships = artifacts
    .filter((entry) => entry.owned)
    .map((entry) => ({ parent: 'owner', child: idOf(entry), type: 'ownership-by-file-overlap' }))
  const grype = matches.map((entry) => ({
    vulnerability: { id: entry.id, severity: entry.severity, namespace: 'github:x' },
    relatedVulnerabilities: entry.related.map((id: string) => ({ id })),
    artifact: list[entry.artifact] ?? {
      id: 'none',
      name: entry.name,
      version: '1',
      ...purlOf(entry.name),
      locations: [at(`/${entry.path}`)],
    },
  }))
  return {
    trivy: trivyReport(results, { Family: 'debian', Name: '12.5' }) as Raw,
    syft: syftReport([owner, ...list], { artifactRelationships }) as Raw,
    grype: grypeReport(grype) as Raw,
  }
}
const ordered = (seed: Seed, turn: <T>(list: T[]) => T[]) => {
  const { trivy, syft, grype } = build(seed)
  for (const result of trivy.Results)
    for (const key of ['Packages', 'Vulnerabilities']) result[key] = turn(result[key])
  trivy.Results = turn(trivy.Results)
  syft.artifacts = turn(syft.artifacts)
  syft.artifactRelationships = turn(syft.artifactRelationships)
  grype.matches = turn(grype.matches)
  return { trivy, syft, grype }
}
const withoutLogs = (reports: object) => ({ ...normalise(reports), logs: [] })

describe('for any reports', () => {
  it('the order of every list is of no account', () => {
    fc.assert(
      fc.property(seeds, fc.nat(7), (seed, by) => {
        const rotate = <T>(list: T[]) =>
          [...list.slice(by % (list.length || 1)), ...list.slice(0, by % (list.length || 1))].reverse()
        expect(withoutLogs(ordered(seed, rotate))).toEqual(withoutLogs(build(seed)))
      }),
    )
  })

  it('what is said twice is said once', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(withoutLogs(ordered(seed, (list) => [...list, ...list]))).toEqual(withoutLogs(build(seed)))
      }),
    )
  })

  it('no finding is lost and none is invented', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const reports = build(seed)
        const { findings, packages, vulnerabilities } = normalise(reports)
        const said = new Set<string>([
          ...reports.trivy.Results.flatMap((r: Raw) =>
            r.Vulnerabilities.map((v: Raw) => `trivy ${v.PkgName.toLowerCase()}`),
          ),
          ...reports.grype.matches.map((m: Raw) => `grype ${m.artifact.name.toLowerCase()}`),
        ])
        expect(
          new Set(findings.map((finding) => `${finding.engine} ${packages[finding.package]!.name}`)),
        ).toEqual(said)
        const reported = new Set<string>([
          ...reports.trivy.Results.flatMap((r: Raw) => r.Vulnerabilities.map((v: Raw) => v.VulnerabilityID)),
          ...reports.grype.matches.map((m: Raw) => m.vulnerability.id),
        ])
        const held = new Set([
          ...findings.map((finding) => finding.reportedId),
          ...vulnerabilities.flatMap((v) => [v.id, ...v.aliases]),
        ])
        for (const id of reported) if (!id.startsWith('DSA')) expect(held).toContain(id)
        for (const { id } of vulnerabilities) if (id.startsWith('CVE')) expect([...CVES]).toContain(id)
      }),
    )
  })

  it('no package is listed twice, and every listed one is there', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const reports = build(seed)
        const { packages } = normalise(reports)
        const keys = packages.map(({ licenses: _l, listedBy: _b, locations: _w, ...identity }) =>
          JSON.stringify(identity),
        )
        expect(new Set(keys).size).toBe(keys.length)
        const places = new Set(
          packages.flatMap((pkg) => pkg.locations.map((where) => `${pkg.name} ${where.path}`)),
        )
        for (const entry of reports.syft.artifacts)
          for (const where of entry.locations ?? [])
            expect(places).toContain(`${entry.name.toLowerCase()} ${where.path}`)
        for (const entry of reports.trivy.Results.flatMap((r: Raw) => r.Packages))
          if (entry.FilePath) expect(places).toContain(`${entry.Name.toLowerCase()} /${entry.FilePath}`)
      }),
    )
  })

  it('an engine that says nothing takes nothing from the others', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { trivy, syft, grype } = build(seed)
        const of = (engine: string, reports: object) =>
          normalise(reports).findings.filter((finding) => finding.engine === engine).length
        expect(of('trivy', { trivy, syft, grype: grypeReport([]) })).toBe(of('trivy', { trivy, syft }))
        expect(of('grype', { grype, syft, trivy: trivyReport([]) })).toBe(of('grype', { grype, syft }))
      }),
    )
  })
})

describe('for recorded reports', () => {
  it.each(IMAGES)('of %s the order of every list is of no account', (image) => {
    const { trivy, grype, syft } = recorded(image)
    const wanted = withoutLogs({ trivy, grype, syft })
    const results = trivy.Results.toReversed().map((r: Raw) => ({
      ...r,
      Packages: r.Packages?.toReversed(),
      Vulnerabilities: r.Vulnerabilities?.toReversed(),
    }))
    const turned = {
      trivy: { ...trivy, Results: results },
      grype: { ...grype, matches: grype.matches.toReversed() },
      syft: { ...syft, artifacts: syft.artifacts.toReversed() },
    }
    expect(withoutLogs(turned)).toEqual(wanted)
  })

  it('the input is left as it was', () => {
    const reports = recorded('sample-amd64')
    const before = JSON.stringify(reports)
    normalise(reports)
    expect(JSON.stringify(reports)).toBe(before)
  })
})
