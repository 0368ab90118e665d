import { describe, expect, it } from 'vitest'
import {
  BY_PIP,
  METADATA,
  match,
  ownership,
  python,
  python3Yaml,
  trivyFound,
  twins,
  yaml,
} from './crafted-yaml.ts'
import { grypeReport, normalise, syftReport, told } from './reports.ts'

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

  it("are told apart by grype's artifact id and trivy's package id, without any path", () => {
    const grype = grypeReport([match('CVE-2020-14343', { ...yaml('owned', ''), locations: [] })])
    const trivy = python([METADATA], [trivyFound(METADATA, { PkgPath: undefined })])
    expect(told(normalise({ syft: twins, trivy, grype }))).toEqual([
      'trivy CVE-2020-14343 pypi/pyyaml@5.3.1 of python3-yaml',
      'grype CVE-2020-14343 pypi/pyyaml@5.3.1 of python3-yaml',
    ])
  })

  it('have no owner but an OS package, and no OS package is owned', () => {
    const overlap = (parent: string, child: string) => ({ parent, child, type: 'ownership-by-file-overlap' })
    const other = { ...python3Yaml, id: 'e', name: 'a-deb', purl: 'pkg:deb/debian/a-deb@1' }
    const artifactRelationships = [overlap('d', 'e'), overlap('free', 'owned'), overlap('d', 'nowhere')]
    const syft = syftReport([python3Yaml, other, yaml('owned', METADATA), yaml('free', BY_PIP)], {
      artifactRelationships,
    })
    expect(normalise({ syft }).packages.map((pkg) => pkg.owner)).toEqual([null, null, null])
  })

  it('owned by two OS packages have the first by name', () => {
    const overlap = (parent: string) => ({ parent, child: 'owned', type: 'ownership-by-file-overlap' })
    const artifacts = [
      python3Yaml,
      { ...python3Yaml, id: 'e', name: 'a-deb', purl: 'pkg:deb/debian/a-deb@1' },
      yaml('owned', METADATA),
    ]
    for (const artifactRelationships of [
      [overlap('d'), overlap('e')],
      [overlap('e'), overlap('d')],
    ])
      expect(
        normalise({ syft: syftReport(artifacts, { artifactRelationships }) }).packages.at(-1)!.owner,
      ).toBe('a-deb')
  })
})
