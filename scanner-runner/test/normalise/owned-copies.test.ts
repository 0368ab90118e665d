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
})
