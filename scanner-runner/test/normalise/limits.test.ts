import { describe, expect, it } from 'vitest'
import { normaliseReports, ReportInvalid } from '../../../src/scanning/normalise/index.ts'
import { at, grypeReport, LAYER, normalise, type Raw, recorded, syftReport, trivyReport } from './reports.ts'

const long = (length: number) => 'x'.repeat(length)
const npm = (name: string, more: object = {}) => ({
  id: name,
  name,
  version: '1',
  type: 'npm',
  purl: `pkg:npm/${encodeURIComponent(name)}@1`,
  ...more,
})
const found = (more: Raw) =>
  trivyReport([
    {
      Target: 'Node.js',
      Class: 'lang-pkgs',
      Type: 'node-pkg',
      Vulnerabilities: [
        { VulnerabilityID: 'CVE-2020-0001', PkgName: 'a', InstalledVersion: '1', Severity: 'LOW', ...more },
      ],
    },
  ])

describe('what is larger than the envelope allows is cut, and the log says so', () => {
  it.each<[string, object, string]>([
    ['a title', { trivy: found({ Title: long(1001) }) }, 'vulnerability.title cut at 1000 characters (1)'],
    [
      'a description',
      { trivy: found({ Description: long(8001) }) },
      'vulnerability.description cut at 8000 characters (1)',
    ],
    [
      'a link, which is left out',
      { trivy: found({ References: [`https://e.example/${long(2048)}`] }) },
      'links longer than 2048 characters left out (1)',
    ],
    [
      'links',
      { trivy: found({ References: Array.from({ length: 53 }, (_, n) => `https://e.example/${n}`) }) },
      'vulnerability.links beyond 50 left out (3)',
    ],
    [
      'CWEs',
      { trivy: found({ CweIDs: Array.from({ length: 51 }, (_, n) => `CWE-${n}`) }) },
      'vulnerability.cwes beyond 50 left out (1)',
    ],
    [
      'aliases',
      { trivy: found({ VendorIDs: Array.from({ length: 101 }, (_, n) => `GHSA-${n}`) }) },
      'vulnerability.aliases beyond 100 left out (1)',
    ],
    [
      'fixed versions',
      { trivy: found({ FixedVersion: Array.from({ length: 52 }, (_, n) => n).join(',') }) },
      'finding.fixedVersions beyond 50 left out (2)',
    ],
    [
      'scores',
      {
        trivy: found({
          CVSS: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`s${n}`, { V2Score: 1 }])),
        }),
      },
      'finding.cvss beyond 20 left out (1)',
    ],
    [
      'a vector without a score',
      { trivy: found({ CVSS: { nvd: { V3Vector: 'CVSS:3.1/AV:N' } } }) },
      'CVSS entries without version or score left out (1)',
    ],
    ['a name', { syft: syftReport([npm(long(513))]) }, 'package.name cut at 512 characters (1)'],
    [
      'licences',
      {
        syft: syftReport([
          npm('a', { licenses: Array.from({ length: 51 }, (_, n) => ({ value: `L${n}` })) }),
        ]),
      },
      'package.licenses beyond 50 left out (1)',
    ],
    [
      'locations',
      { syft: syftReport([npm('a', { locations: Array.from({ length: 1002 }, (_, n) => at(`/${n}`)) })]) },
      'package.locations beyond 1000 left out (2)',
    ],
    [
      'a path',
      { syft: syftReport([npm('a', { locations: [at(`/${long(4096)}`)] })]) },
      'location.path cut at 4095 characters (1)',
    ],
    [
      'an owner',
      {
        syft: syftReport([npm('a'), { id: 'o', name: long(513), type: 'deb' }], {
          artifactRelationships: [{ parent: 'o', child: 'a', type: 'ownership-by-file-overlap' }],
        }),
      },
      'package.owner cut at 512 characters (1)',
    ],
    [
      'a name of control characters',
      { syft: syftReport([npm('\u0001')]) },
      'packages without a name left out (1)',
    ],
    [
      'an id of control characters',
      { trivy: found({ VulnerabilityID: '\u0001' }) },
      'findings without an id left out (1)',
    ],
  ])('%s', (_what, reports, line) => {
    expect(normalise(reports).logs).toContain(`normalise: ${line}`)
  })

  it('and never between the halves of a character', () => {
    const { vulnerabilities } = normalise({ trivy: found({ Title: `${long(999)}😀` }) })
    expect(vulnerabilities[0]!.title).toBe(long(999))
  })
})

describe('hostile text', () => {
  it('loses control characters and lone surrogates, and keeps the line breaks of a description', () => {
    const { vulnerabilities, packages } = normalise({
      trivy: found({
        Title: 'a\u0000b\u001b[31m\n',
        Description: 'a\r\nb\u0007\ud800',
        PkgName: 'p\u0000\udc00q',
      }),
    })
    expect(vulnerabilities[0]).toMatchObject({ title: 'ab[31m', description: 'a\nb\ufffd' })
    expect(packages[0]!.name).toBe('p\ufffdq')
  })

  it('in the names of members changes no prototype', () => {
    const CVSS = JSON.parse(
      '{"__proto__":{"V3Vector":"CVSS:3.1/P","V3Score":1},"constructor":{"V3Vector":"CVSS:3.1/C","V3Score":2}}',
    )
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const metadata = JSON.parse('{"__proto__":{"source":"evil"}}')
    const deb = {
      id: '__proto__',
      name: 'constructor',
      version: '1',
      type: 'deb',
      purl: 'pkg:deb/debian/constructor@1',
      metadata,
    }
    const result = normalise({
      trivy: found({ CVSS, VulnerabilityID: 'constructor', VendorIDs: names }),
      syft: syftReport([...names.map((name) => npm(name)), deb]),
    })
    const listed = ['__proto__', 'a', 'constructor', 'constructor', 'hasownproperty', 'tostring']
    expect(result.packages.map((pkg) => pkg.name).sort()).toEqual(listed)
    expect(result.packages.find((pkg) => pkg.type === 'deb')!.source).toEqual({
      name: 'constructor',
      version: '1',
    })
    expect(result.findings[0]!.cvss.map(({ source }) => source)).toContain('constructor')
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('in a layer or a path gives no layer, and an absolute path', () => {
    const { packages } = normalise({
      syft: syftReport([
        npm('a', { locations: [at('relative/path', 'sha256:short'), at('//double', LAYER)] }),
      ]),
    })
    expect(packages[0]!.locations).toEqual([
      { path: '/double', layer: LAYER },
      { path: '/relative/path', layer: null },
    ])
  })
})

describe('a document of another shape is refused with the engine that it was said to be of', () => {
  const { trivy, grype, syft } = recorded('alpine')
  const nothing = { trivy: null, grype: null, syft: null }
  it.each<[string, string, unknown]>([
    ['trivy', "grype's report", grype],
    ['trivy', "syft's report", syft],
    ['trivy', 'an older schema', { ...trivy, SchemaVersion: 1 }],
    ['trivy', 'results that are no list', { ...trivy, Results: {} }],
    ['trivy', 'a package without a name', trivyReport([{ Packages: [{ Version: '1' }] }])],
    ['grype', "trivy's report", trivy],
    ['grype', "syft's report", syft],
    ['grype', 'matches without artifact', grypeReport([{ vulnerability: { id: 'CVE-2020-0001' } }])],
    ['syft', "trivy's report", trivy],
    ['syft', "grype's report", grype],
    ['syft', 'artifacts that are no list', { ...syft, artifacts: 'x' }],
    ['syft', 'a list', []],
    ['syft', 'text', 'x'],
    ['syft', 'nothing', undefined],
  ])('%s: %s', (engine, _what, document) => {
    const refused = (() => {
      try {
        return normaliseReports({ ...nothing, [engine]: document })
      } catch (error) {
        return error
      }
    })()
    expect(refused).toBeInstanceOf(ReportInvalid)
    expect(refused).toMatchObject({ engine })
  })

  it('and without quoting what it holds', () => {
    const hostile = {
      SchemaVersion: 2,
      ArtifactName: 'x',
      Results: [
        { Vulnerabilities: [{ VulnerabilityID: 'a', PkgName: 'b', CVSS: { '\u001b[31mkey': 'secret' } }] },
      ],
    }
    expect(() => normaliseReports({ ...nothing, trivy: hostile })).toThrow(
      /^trivy: Results\.\[\]\.Vulnerabilities\.\[\]\.CVSS\.\* is not as expected \(invalid_type\)$/,
    )
  })
})
