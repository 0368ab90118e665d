import { describe, expect, it } from 'vitest'
import { distribution } from '../../../src/scanning/normalise/distribution.ts'
import { coordinates, withEpoch } from '../../../src/scanning/normalise/identity.ts'

describe('a distribution with release', () => {
  it.each([
    ['debian-12', 'debian', '12.5', 'debian', '12'],
    ['debian-trixie', 'debian', 'trixie/sid', 'debian', 'trixie'],
    ['alpine-3.19', 'alpine', '3.19.0', 'alpine', '3.19.1'],
    ['ubuntu-22.04', 'ubuntu', '22.04', 'ubuntu', '22.04'],
    ['rhel-8', 'redhat', '8.4', 'rhel', '8.10'],
    ['almalinux-9', 'alma', '9.3', 'almalinux', '9.3'],
    ['amzn-2', 'amazon', '2 (Karoo)', 'amzn', '2'],
    ['ol-8', 'oracle', '8.9', 'ol', '8.9'],
    ['sles-15.4', 'suse linux enterprise server', '15.4', 'sles', '15.4'],
    ['wolfi-20230201', 'wolfi', '20230201', 'wolfi', '20230201'],
    ['arch', 'arch', '', 'arch', ''],
  ])('is %s from trivy and from syft', (wanted, family, name, id, versionId) => {
    expect(distribution(family, name)).toBe(wanted)
    expect(distribution(id, versionId)).toBe(wanted)
  })

  it('is null where no engine knows the distribution', () => {
    expect(distribution('', '12')).toBeNull()
  })
})

describe('a package of two engines has the same coordinates', () => {
  const of = (purl: string | null, type = 'x', name = 'x', version: string | null = null, epoch?: number) => {
    const { at } = coordinates(purl, { type, name, version, epoch: epoch ?? null })
    return [at.type, at.namespace, at.name, at.version]
  }
  it.each<[string, Parameters<typeof of>, Parameters<typeof of>]>([
    ['PEP 503 names', ['pkg:pypi/ruamel_yaml@0.17'], ['pkg:pypi/Ruamel.YAML@0.17']],
    ['npm names', ['pkg:npm/jsonstream@1.0.3'], ['pkg:npm/JSONStream@1.0.3']],
    ['npm scopes, with and without purl', ['pkg:npm/%40scope/thing@1'], [null, 'npm', '@Scope/Thing', '1']],
    [
      'Go modules',
      ['pkg:golang/github.com/masterminds/semver/v3@v3.4.0'],
      ['pkg:golang/github.com/Masterminds/semver/v3@v3.4.0'],
    ],
    [
      'Go major versions in a subpath',
      ['pkg:golang/github.com/a/b/v5@v5.1.0'],
      ['pkg:golang/github.com/a/b@v5.1.0#v5'],
    ],
    [
      'the Go standard library',
      ['pkg:golang/stdlib@v1.26.8'],
      ['pkg:golang/stdlib@1.26.8', 'golang', 'stdlib', 'go1.26.8'],
    ],
    [
      'a Go main module without version',
      ['pkg:golang/example.invalid/hello', 'golang', 'x', ''],
      ['pkg:golang/example.invalid/hello', 'golang', 'x', 'UNKNOWN'],
    ],
    ['Maven group and artifact', ['pkg:maven/org.a/b@1'], [null, 'maven', 'org.a:b', '1']],
    [
      'deb epochs',
      ['pkg:deb/debian/zlib1g@1.2.13.dfsg-1?epoch=1'],
      ['pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1'],
    ],
    [
      'rpm epochs, of which 0 is none',
      ['pkg:rpm/redhat/bash@5.1-2.el9?epoch=0'],
      ['pkg:rpm/rhel/bash@5.1-2.el9'],
    ],
    [
      'rpm epochs in the version',
      ['pkg:rpm/redhat/bind@9.11-2.el8?epoch=32'],
      [null, 'rpm', 'bind', '32:9.11-2.el8'],
    ],
  ])('%s', (what, one, other) => {
    const [a, b] = [of(...one), of(...other)]
    if (what.includes('epochs in the version')) b[1] = 'redhat' // without a purl rpm has no vendor
    expect(a).toEqual(b)
  })

  it('keeps an epoch that the version already has', () => {
    expect([withEpoch('1:2', 1), withEpoch('0:2', 0), withEpoch('2', 1), withEpoch('2', null)]).toEqual([
      '1:2',
      '2',
      '1:2',
      '2',
    ])
  })
})
