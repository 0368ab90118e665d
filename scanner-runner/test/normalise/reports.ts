import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { type Normalised, normaliseReports, type Reports } from '../../../src/scanning/normalise/index.ts'
import { ResultFinding, ResultPackage, ResultVulnerability } from '../../../src/scanning/sensors/result.ts'

export const IMAGES = ['sample-amd64', 'alpine', 'bookworm-minbase', 'python-owned'] as const
export const LAYER = `sha256:${'a'.repeat(64)}`
export const UPPER = `sha256:${'b'.repeat(64)}`

const directory = new URL('../../../test/fixtures/engine-outputs/', import.meta.url)
// biome-ignore lint/suspicious/noExplicitAny: engines' own documents, read member by member to count independently
export type Raw = any

export const recordedReport = (image: string, engine: string): Raw =>
  JSON.parse(gunzipSync(readFileSync(new URL(`${image}.${engine}.json.gz`, directory))).toString())

export const recorded = (image: string) => ({
  trivy: recordedReport(image, 'trivy'),
  grype: recordedReport(image, 'grype'),
  syft: recordedReport(image, 'syft'),
})

const Shape = z.object({
  packages: z.array(z.strictObject(ResultPackage.shape)),
  vulnerabilities: z.array(z.strictObject(ResultVulnerability.shape)),
  findings: z.array(z.strictObject(ResultFinding.shape)),
  logs: z.array(z.string().max(1000)).max(200),
})

/** Normalises, and holds the result against the envelope's schema and its indexes against the lists. */
export function normalise(reports: Partial<Reports>): Normalised {
  const result = normaliseReports({ trivy: null, grype: null, syft: null, ...reports })
  Shape.parse({ ...result, os: undefined })
  for (const finding of result.findings)
    if (!result.packages[finding.package] || !result.vulnerabilities[finding.vulnerability])
      throw new Error('a finding refers to nothing')
  return result
}

/** Findings as `engine id type/name@version owner` lines. */
export const told = ({ findings, packages, vulnerabilities }: Normalised): string[] =>
  findings.map((finding) => {
    const pkg = packages[finding.package]!
    const owner = pkg.owner ? ` of ${pkg.owner}` : ''
    return `${finding.engine} ${vulnerabilities[finding.vulnerability]!.id} ${pkg.type}/${pkg.name}@${pkg.version}${owner}`
  })

interface TrivyResult {
  Target?: string
  Class?: string
  Type?: string
  Packages?: object[]
  Vulnerabilities?: object[]
}

export const trivyReport = (results: TrivyResult[] | undefined, os?: object) => ({
  SchemaVersion: 2,
  ArtifactName: '/job/image',
  Metadata: os ? { OS: os } : {},
  ...(results && { Results: results }),
})

export const debian = { Family: 'debian', Name: '12.5' }

export const syftReport = (artifacts: object[], more: object = {}) => ({
  artifacts,
  artifactRelationships: [],
  distro: { id: 'debian', versionID: '12.5', versionCodename: 'bookworm' },
  schema: { version: '16.1.10' },
  ...more,
})

export const grypeReport = (matches: object[], distro: object = { name: 'debian', version: '12.5' }) => ({
  matches,
  distro,
  descriptor: { name: 'grype' },
})

export const at = (path: string, layerID = LAYER) => ({ path, layerID, annotations: { evidence: 'primary' } })
