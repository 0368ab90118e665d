import { describe, expect, it } from 'vitest'
import { IMAGES, normalise, type Raw, recorded, told } from './reports.ts'

const results = (trivy: Raw): Raw[] => trivy.Results ?? []
const printedVersion = (found: Raw): string =>
  found.PkgName === 'stdlib' ? found.InstalledVersion.replace(/^v/, '') : (found.InstalledVersion ?? '')
const bareName = (name: string): string => (name.split(/[:/]/).pop() as string).toLowerCase()

/** The CVE of a grype match, by the match alone. */
const cveOf = ({ vulnerability, relatedVulnerabilities }: Raw): string =>
  [vulnerability, ...relatedVulnerabilities].map(({ id }) => id).find((id) => id.startsWith('CVE-'))

describe.each(IMAGES)('the recorded outputs of %s', (image) => {
  const raw = recorded(image)
  const result = normalise(raw)

  it('list each package that trivy lists once', () => {
    const names = results(raw.trivy).flatMap((r) => r.Packages ?? [])
    const distinct = new Set(names.map((pkg: Raw) => `${pkg.Name} ${pkg.Identifier.PURL}`))
    expect(result.packages.filter((pkg) => pkg.listedBy.includes('trivy'))).toHaveLength(distinct.size)
  })

  it('list each package that syft lists once', () => {
    const distinct = new Set(raw.syft.artifacts.map((pkg: Raw) => `${pkg.name} ${pkg.purl}`))
    expect(result.packages.filter((pkg) => pkg.listedBy.includes('syft'))).toHaveLength(distinct.size)
  })

  it('are one list: both engines name the same packages, but for those that an OS package owns', () => {
    for (const { owner, listedBy } of result.packages)
      expect(listedBy).toEqual(owner === null ? ['trivy', 'syft'] : ['syft'])
  })

  it('give the same packages by trivy alone and by syft alone, but for those that an OS package owns', () => {
    const identities = (reports: object) =>
      normalise(reports).packages.map(
        ({ licenses: _l, listedBy: _b, locations: _w, ...identity }) => identity,
      )
    const bySyft = identities({ syft: raw.syft })
    expect(identities({ trivy: raw.trivy })).toEqual(bySyft.filter((pkg) => pkg.owner === null))
  })

  it("hold each of trivy's findings", () => {
    const found = results(raw.trivy).flatMap((r) => r.Vulnerabilities ?? [])
    const wanted = found.map((v: Raw) => `${v.VulnerabilityID} ${bareName(v.PkgName)}@${printedVersion(v)}`)
    const held = told(result)
      .filter((text) => text.startsWith('trivy '))
      .map((text) => text.replace(/^trivy (\S+) [^/]+\//, '$1 '))
    expect(held.sort()).toEqual([...new Set(wanted)].sort())
  })

  it("hold each of grype's findings under the CVE that it names", () => {
    const wanted = raw.grype.matches.map(
      (match: Raw) => `${cveOf(match)} ${bareName(match.artifact.name)}@${match.artifact.version}`,
    )
    const held = told(result)
      .filter((text) => text.startsWith('grype '))
      .map((text) => text.replace(/^grype (\S+) [^/]+\//, '$1 '))
    expect(held.sort()).toEqual([...new Set(wanted)].sort())
  })

  it('keep what the engine said about each finding', () => {
    for (const found of results(raw.trivy).flatMap((r) => r.Vulnerabilities ?? [])) {
      const held = result.findings.find(
        (finding) =>
          finding.engine === 'trivy' &&
          finding.reportedId === found.VulnerabilityID &&
          result.packages[finding.package]!.name === bareName(found.PkgName),
      )
      expect(held?.severity).toBe(found.Severity)
      expect(held?.fixedVersions).toEqual(found.FixedVersion ? found.FixedVersion.split(', ') : [])
    }
    for (const { vulnerability, artifact } of raw.grype.matches) {
      const held = result.findings.find(
        (finding) =>
          finding.engine === 'grype' &&
          finding.reportedId === vulnerability.id &&
          result.packages[finding.package]!.name === bareName(artifact.name),
      )
      expect(held?.severity).toBe(vulnerability.severity.toUpperCase().replace('NEGLIGIBLE', 'UNKNOWN'))
      expect(held?.fixedVersions).toEqual(vulnerability.fix.versions)
    }
  })

  it("hold no path of the runner's", () => {
    expect(JSON.stringify(result)).not.toContain('/job/')
  })
})

describe('the recorded outputs together', () => {
  it('differ where the engines differ: grype drops CVE-2023-45853 for zlib1g by a built-in correction', () => {
    const lines = told(normalise(recorded('sample-amd64')))
    const by = (engine: string) =>
      new Set(lines.filter((text) => text.startsWith(engine)).map((text) => text.slice(engine.length + 1)))
    const [trivy, grype] = [by('trivy'), by('grype')]
    expect([...trivy].filter((text) => !grype.has(text))).toEqual([
      'CVE-2023-45853 deb/zlib1g@1:1.2.13.dfsg-1',
    ])
    expect([...grype].filter((text) => !trivy.has(text))).toEqual([])
  })

  it('put no finding on a package that an OS package owns: Debian answers for it', () => {
    const { packages, findings } = normalise(recorded('python-owned'))
    const owned = packages.filter((pkg) => pkg.owner !== null)
    expect(owned.map((pkg) => [pkg.name, pkg.version, pkg.owner])).toEqual([
      ['jinja2', '3.1.2', 'python3-jinja2'],
      ['pyyaml', '6.0', 'python3-yaml'],
    ])
    expect(findings.filter((finding) => packages[finding.package]!.owner !== null)).toEqual([])
    expect(findings.filter((finding) => packages[finding.package]!.type === 'pypi')).toHaveLength(10)
  })

  it('name the operating system as trivy does, with its end of life', () => {
    expect(normalise(recorded('alpine')).os).toEqual({ family: 'alpine', name: '3.19.0', endOfLife: true })
    expect(normalise({ syft: recorded('alpine').syft }).os).toMatchObject({
      family: 'alpine',
      name: '3.19.0',
    })
  })
})
