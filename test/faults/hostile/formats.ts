import { sensorEnvelope } from '../../scanning/foreign/go-sensor.ts'
import { type Raw, recordedReports } from '../../scanning/foreign/recorded.ts'
import { fullEnvelope, type Terms } from './envelope.ts'
import { CASES } from './options.ts'

/** A format of uploads: what mutations start from, and how many there are. */
export interface Format {
  name: string
  /** Of a job that was claimed without a lease, as the public sensor does it. */
  isPlain: boolean
  cases: number
  document(terms: Terms): object
}

/** Some packages and findings of a recorded image: what the engines print, at a size that mutations find their way in. */
async function fewReports(): Promise<Raw> {
  const { trivy, grype, syft } = await recordedReports('sample-amd64')
  const few = <T>(list: T[] | undefined) => list?.slice(0, 2)
  return {
    trivy: {
      ...trivy,
      Results: few(trivy.Results)!.map((result: Raw) => ({
        ...result,
        ...{ Packages: few(result.Packages), Vulnerabilities: few(result.Vulnerabilities) },
      })),
    },
    grype: { ...grype, matches: few(grype.matches) },
    syft: { ...syft, artifacts: few(syft.artifacts), artifactRelationships: [], files: [] },
  }
}

const reports = await fewReports()
const metadata = { VulnerabilityDB: { Version: 2, UpdatedAt: '2026-11-20T06:00:00Z' } }

export const FORMATS: readonly Format[] = [
  { name: 'envelope 1.1', isPlain: false, cases: CASES, document: (terms) => fullEnvelope(terms) },
  {
    name: 'envelope 1.0',
    isPlain: true,
    cases: Math.ceil(CASES / 4),
    document: ({ wireId, ref, digest }) => sensorEnvelope({ id: wireId, ref, digest, ...reports }),
  },
  {
    name: 'legacy body',
    isPlain: true,
    cases: Math.ceil(CASES / 4),
    document: ({ wireId, ref, digest }) => ({
      requestId: wireId,
      image: { ref, name: 'app', tag: '1.0', digest, platform: 'linux/amd64' },
      scan: { status: 'SUCCESS' },
      reports: { ...reports, metadata },
    }),
  },
]
