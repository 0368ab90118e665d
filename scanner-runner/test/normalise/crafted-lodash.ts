import { debian, type Raw, trivyReport } from './reports.ts'

const artifact = (name = 'lodash') => ({
  name,
  version: '1.0.0',
  type: 'npm',
  purl: `pkg:npm/${name}@1.0.0`,
  locations: [],
})
export const match = (id: string, related: Raw[] = [], vulnerability: Raw = {}, name?: string) => ({
  vulnerability: { id, severity: 'High', namespace: 'github:language:javascript', ...vulnerability },
  relatedVulnerabilities: related.map((record) =>
    typeof record === 'string' ? { id: record, namespace: 'nvd:cpe' } : record,
  ),
  artifact: artifact(name),
})
export const found = (id: string, vendorIds: string[] = [], more: Raw = {}) => ({
  VulnerabilityID: id,
  VendorIDs: vendorIds,
  PkgName: 'lodash',
  InstalledVersion: '1.0.0',
  PkgIdentifier: { PURL: 'pkg:npm/lodash@1.0.0' },
  Severity: 'HIGH',
  ...more,
})
export const trivy = (...vulnerabilities: object[]) =>
  trivyReport(
    [{ Target: 'Node.js', Class: 'lang-pkgs', Type: 'node-pkg', Vulnerabilities: vulnerabilities }],
    debian,
  )
