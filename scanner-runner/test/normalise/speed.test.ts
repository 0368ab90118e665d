import { expect, it } from 'vitest'
import { normaliseReports } from '../../../src/scanning/normalise/index.ts'
import { at, grypeReport, LAYER, syftReport, trivyReport } from './reports.ts'

const SIZE = 20_000
// Measured 2 s; quadratic work would take minutes. Processor time, so that a loaded machine does not matter.
const LIMIT_MS = 15_000

it(`unites ${SIZE} packages and as many findings of each engine in time linear in their number`, {
  timeout: 60_000,
}, () => {
  const numbers = Array.from({ length: SIZE }, (_, n) => n)
  const purl = (n: number) => `pkg:npm/p${n % 5000}@1.${n}`
  const path = (n: number) => `app/node_modules/p${n}/package.json`
  const ghsa = (n: number) => `GHSA-${n % 3000}`
  const cve = (n: number) => `CVE-2020-${10_000 + (n % 3000)}`
  const text = 'x'.repeat(500)
  const artifact = (n: number) => ({
    id: `a${n}`,
    name: `p${n % 5000}`,
    version: `1.${n}`,
    type: 'npm',
    purl: purl(n),
    locations: [at(`/${path(n)}`)],
  })
  const trivy = trivyReport([
    {
      Target: 'Node.js',
      Class: 'lang-pkgs',
      Type: 'node-pkg',
      Packages: numbers.map((n) => ({
        Name: `p${n % 5000}`,
        Version: `1.${n}`,
        Identifier: { PURL: purl(n), UID: `${n}` },
        FilePath: path(n),
        Layer: { DiffID: LAYER },
      })),
      Vulnerabilities: numbers.map((n) => ({
        VulnerabilityID: cve(n),
        VendorIDs: [ghsa(n)],
        PkgName: `p${n % 5000}`,
        PkgPath: path(n),
        PkgIdentifier: { PURL: purl(n), UID: `${n}` },
        InstalledVersion: `1.${n}`,
        Severity: 'HIGH',
        Description: text,
      })),
    },
  ])
  const grype = grypeReport(
    numbers.map((n) => ({
      vulnerability: {
        id: ghsa(n),
        severity: 'High',
        namespace: 'github:language:javascript',
        description: text,
      },
      relatedVulnerabilities: [{ id: cve(n), namespace: 'nvd:cpe' }],
      artifact: artifact(n),
    })),
  )
  const syft = syftReport(numbers.map(artifact))
  const before = process.cpuUsage()
  const result = normaliseReports({ trivy, grype, syft })
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(LIMIT_MS)
  expect([result.packages.length, result.findings.length, result.vulnerabilities.length]).toEqual([
    SIZE,
    2 * SIZE,
    3000,
  ])
})
