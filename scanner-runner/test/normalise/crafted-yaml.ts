import { at, debian, LAYER, syftReport, trivyReport } from './reports.ts'

export const METADATA = 'usr/lib/python3/dist-packages/PyYAML-5.3.1.dist-info/METADATA'
export const BY_PIP = 'usr/local/lib/python3.11/site-packages/PyYAML-5.3.1.dist-info/METADATA'
const YAML = 'pkg:pypi/pyyaml@5.3.1'

export const yaml = (id: string, path: string) => ({
  id,
  name: 'pyyaml',
  version: '5.3.1',
  type: 'python',
  purl: YAML,
  locations: [at(`/${path}`)],
})
export const python3Yaml = {
  id: 'd',
  name: 'python3-yaml',
  version: '5.3.1-1',
  type: 'deb',
  purl: 'pkg:deb/debian/python3-yaml@5.3.1-1',
  locations: [at('/var/lib/dpkg/status')],
  metadata: { source: 'pyyaml', sourceVersion: '' },
}
export const ownership = {
  artifactRelationships: [
    { parent: 'd', child: 'owned', type: 'ownership-by-file-overlap', metadata: { files: [METADATA] } },
  ],
}
export const twins = syftReport([python3Yaml, yaml('owned', METADATA), yaml('free', BY_PIP)], ownership)

const trivyYaml = (path: string) => ({
  Name: 'PyYAML',
  Version: '5.3.1',
  Identifier: { PURL: YAML, UID: path },
  FilePath: path,
  Layer: { DiffID: LAYER },
})
export const trivyFound = (path: string, more: object = {}) => ({
  VulnerabilityID: 'CVE-2020-14343',
  PkgName: 'PyYAML',
  PkgPath: path,
  PkgIdentifier: { PURL: YAML, UID: path },
  InstalledVersion: '5.3.1',
  Severity: 'CRITICAL',
  ...more,
})
export const python = (paths: string[], found: object[] = []) =>
  trivyReport(
    [
      {
        Target: 'Python',
        Class: 'lang-pkgs',
        Type: 'python-pkg',
        Packages: paths.map(trivyYaml),
        Vulnerabilities: found,
      },
    ],
    debian,
  )
export const match = (id: string, artifact: object, related: string[] = [], more: object = {}) => ({
  vulnerability: { id, severity: 'High', namespace: 'github:language:python', ...more },
  relatedVulnerabilities: related.map((cve) => ({ id: cve, namespace: 'nvd:cpe' })),
  artifact,
})
