import type { Result } from '../../../src/scanning/sensors/result.ts'
import { aResult, DAY } from '../../risk/results.ts'

/** The terms of the job that every generated upload is about. */
export interface Terms {
  wireId: string
  fence: number
  digest: string
  /** The image that was asked for. */
  ref: string
}

const finding = (engine: 'trivy' | 'grype', pkg: number, vulnerability: number, id: string) => ({
  ...{ engine, package: pkg, vulnerability, reportedId: id, severity: 'HIGH' as const },
  cvss: [{ source: 'nvd', version: '3.1' as const, vector: 'CVSS:3.1/AV:N', score: 7.5 }],
  ...{ fixState: 'fixed' as const, fixedVersions: ['1.2.3'] },
})

/** A small envelope 1.1 in which every member that there is has a value: what mutations start from. */
export function fullEnvelope({ wireId, fence, digest }: Terms, now = Date.now()): Result {
  const result = aResult({ packages: 3, findings: 0, build: now - DAY, jobId: wireId, fence, digest })
  const text = (id: string) => ({
    ...{ id, aliases: [`GHSA-${id}`], title: 'A flaw', description: 'A crafted input.', cwes: ['CWE-125'] },
    ...{
      links: ['https://example.org/a'],
      publishedAt: '2026-01-05T00:00:00Z',
      modifiedAt: '2026-01-06T00:00:00Z',
    },
  })
  result.packages[0] = {
    ...result.packages[0]!,
    ...{ namespace: 'debian', distro: 'debian-12', module: 'nodejs:18', owner: 'python3-yaml' },
    source: { name: 'glibc', version: '2.36-9' },
  }
  result.image = {
    ...result.image!,
    ...{ indexDigest: `sha256:${'1'.repeat(64)}`, configDigest: `sha256:${'2'.repeat(64)}` },
    layers: result.image!.layers.slice(0, 2),
  }
  result.engines[0]!.sha256 = 'c'.repeat(64)
  result.engines[0]!.raw = { sha256: 'd'.repeat(64), size: 12 }
  result.engines[1]!.reason = { code: 'engine_failed', message: 'none' }
  result.sensor.scannerVersions = { trivy: '1' }
  result.sboms = [{ format: 'cyclonedx', sha256: 'e'.repeat(64), size: 9, mediaType: 'application/json' }]
  result.vulnerabilities = ['CVE-2026-1', 'CVE-2026-2', 'CVE-2026-3'].map(text)
  result.findings = [
    finding('trivy', 0, 0, 'CVE-2026-1'),
    finding('grype', 0, 0, 'GHSA-1'),
    finding('trivy', 1, 1, 'CVE-2026-2'),
    finding('grype', 2, 2, 'CVE-2026-3'),
  ]
  result.logs = ['trivy: done']
  return result
}
