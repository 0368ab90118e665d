import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePurl } from '../../../src/scanning/normalise/purl.ts'

const parts = (text: string) => {
  const purl = parsePurl(text)
  return purl && [purl.type, purl.namespace, purl.name, purl.version, purl.subpath]
}

describe('a package URL', () => {
  it.each([
    ['pkg:npm/lodash@4.17.15', ['npm', null, 'lodash', '4.17.15', null]],
    ['pkg:npm/%40angular/core@1.0.0', ['npm', '@angular', 'core', '1.0.0', null]],
    ['pkg:npm/@angular/core@1.0.0', ['npm', '@angular', 'core', '1.0.0', null]],
    ['pkg:npm/@angular/core', ['npm', '@angular', 'core', null, null]],
    [
      'pkg:deb/debian/libxml2@2.9.14%2Bdfsg-1.3~deb12u1',
      ['deb', 'debian', 'libxml2', '2.9.14+dfsg-1.3~deb12u1', null],
    ],
    ['pkg:deb/debian/libstdc++6@12.2.0-14', ['deb', 'debian', 'libstdc++6', '12.2.0-14', null]],
    ['pkg:golang/github.com/a/b@v5.0.0#v5', ['golang', 'github.com/a', 'b', 'v5.0.0', 'v5']],
    ['pkg:golang/example.invalid/hello', ['golang', 'example.invalid', 'hello', null, null]],
    [
      'pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1',
      ['maven', 'org.apache.logging.log4j', 'log4j-core', '2.14.1', null],
    ],
    ['pkg://PyPI/Django@1.11', ['pypi', null, 'Django', '1.11', null]],
    ['pkg:generic/a%2Fb@%E0%A4', ['generic', null, 'a/b', '%E0%A4', null]],
  ])('%s is taken apart and decoded', (text, wanted) => {
    expect(parts(text)).toEqual(wanted)
  })

  it('gives its qualifiers decoded, by lower-case name', () => {
    const purl = parsePurl(
      'pkg:deb/debian/bsdutils@2.38.1-5%2Bb1?arch=amd64&Epoch=1&upstream=util-linux%402.38.1-5&x',
    )
    expect([...purl!.qualifiers]).toEqual([
      ['arch', 'amd64'],
      ['epoch', '1'],
      ['upstream', 'util-linux@2.38.1-5'],
    ])
  })

  it.each(['', 'lodash', 'pkg:', 'pkg:npm', 'pkg:npm/', 'pkg:/name', 'pkg:%20/name', 'http://pkg:npm/a'])(
    '%j is not one',
    (text) => {
      expect(parsePurl(text)).toBeNull()
    },
  )

  it('never throws, and gives back what was encoded', () => {
    fc.assert(fc.property(fc.string(), (text) => void parsePurl(`pkg:${text}`)))
    const part = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(part, part, part, (namespace, name, version) => {
        const text = `pkg:generic/${[namespace, name].map(encodeURIComponent).join('/')}@${encodeURIComponent(version)}`
        expect(parts(text)).toEqual(['generic', namespace, name, version, null])
      }),
    )
  })
})
