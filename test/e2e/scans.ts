import type { Api } from '../../dev/local/api.ts'
import type { Scan, ScanStatus } from '../../dev/local/scan.ts'
import type { ShownFinding } from './compare-findings.ts'
import { until } from './until.ts'

const ENDED: ScanStatus['status'][] = ['COMPLETE', 'FAILED', 'CANCELLED']
export const ENGINES = ['trivy', 'grype', 'syft']

export interface EndedScan extends Scan {
  tagId: string | null
  layers: { digest: string; diffId: string }[]
}

/** Requests a scan; the id. */
export async function requestScan(api: Api, image: string, options: object = {}): Promise<string> {
  const { scanId } = await api.post<{ scanId: string }>('/api/scans', {
    ...{ image, scanners: ENGINES },
    ...options,
  })
  return scanId
}

/** The scan when it has ended, however it did. */
export async function ended(api: Api, scanId: string, limitMs?: number): Promise<EndedScan> {
  await until(async () => {
    const { data } = await api.get<{ data: ScanStatus }>(`/api/scans/${scanId}/status`)
    return ENDED.includes(data.status) ? data : null
  }, limitMs)
  return (await api.get<{ data: EndedScan }>(`/api/scans/${scanId}`)).data
}

export const findingsOf = (api: Api, scanId: string): Promise<ShownFinding[]> =>
  api.all<ShownFinding>(`/api/scans/${scanId}/vulnerabilities?limit=200`)

/** What of a finding does not depend on where and when it was scanned. */
export const withoutPlace = (findings: readonly ShownFinding[]) =>
  findings
    .map(({ cveId, purl, severity, fixedVersion, sources, path, layer }) =>
      [cveId, purl, severity, fixedVersion, sources.join('+'), path, layer].join(' '),
    )
    .toSorted()
