import type { Raw } from './recorded.ts'

/** The result envelope 1.0 as the public Go sensor writes it, by the rules of its documentation, awkward ones included. */

const SEVERITIES = ['INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL']
const severityOf = (printed: string | undefined) =>
  SEVERITIES.find((severity) => severity === printed?.toUpperCase()) ?? 'INFO'

const trivyFindings = (report: Raw): Raw[] =>
  (report?.Results ?? []).flatMap((result: Raw) =>
    (result.Vulnerabilities ?? []).map((found: Raw) => ({
      cveId: found.VulnerabilityID,
      source: 'trivy',
      severity: severityOf(found.Severity),
      cvssScore: found.CVSS?.nvd?.V3Score ?? found.CVSS?.redhat?.V3Score,
      title: found.Title,
      description: found.Description,
      packageName: found.PkgName,
      installedVersion: found.InstalledVersion,
      fixedVersion: found.FixedVersion,
      vulnerabilityUrl: found.PrimaryURL,
    })),
  )

const grypeFindings = (report: Raw): Raw[] =>
  (report?.matches ?? []).map(({ vulnerability, artifact }: Raw) => ({
    cveId: vulnerability.id,
    source: 'grype',
    severity: severityOf(vulnerability.severity),
    cvssScore: vulnerability.cvss?.[0]?.metrics?.baseScore,
    description: vulnerability.description,
    packageName: artifact.name,
    installedVersion: artifact.version,
    fixedVersion: vulnerability.fix?.versions?.[0],
    vulnerabilityUrl: vulnerability.dataSource,
  }))

const trivyPackages = (report: Raw): Raw[] =>
  (report?.Results ?? []).flatMap((result: Raw) =>
    (result.Packages ?? []).map((pkg: Raw) => ({
      name: pkg.Name,
      version: pkg.Version ?? '',
      type: result.Type,
      source: 'trivy',
      purl: pkg.Identifier?.PURL,
    })),
  )

const syftPackages = (report: Raw): Raw[] =>
  (report?.artifacts ?? []).map((artifact: Raw) => ({
    name: artifact.name,
    version: artifact.version,
    type: artifact.type,
    source: 'syft',
    license: artifact.licenses?.[0]?.value,
    purl: artifact.purl,
  }))

/** One record a cveId and package name, whatever the version: the more severe, else the first; and so one engine. */
function deduplicated(findings: Raw[]): Raw[] {
  const kept = new Map<string, Raw>()
  for (const finding of findings) {
    const key = `${finding.cveId}:${finding.packageName}`
    const known = kept.get(key)
    if (known && SEVERITIES.indexOf(known.severity) >= SEVERITIES.indexOf(finding.severity)) continue
    kept.set(key, finding)
  }
  return [...kept.values()]
}

export interface SensorScan {
  id: string
  ref: string
  trivy?: Raw
  grype?: Raw
  syft?: Raw
  status?: 'SUCCESS' | 'PARTIAL' | 'FAILED'
  digest?: string
  scannerVersions?: Record<string, string>
}

/** Name and tag come from the last path component, and of a digest they are wrong. */
function nameAndTag(ref: string) {
  const last = ref.slice(ref.lastIndexOf('/') + 1)
  const colon = last.lastIndexOf(':')
  return colon === -1
    ? { name: last, tag: 'latest' }
    : { name: last.slice(0, colon), tag: last.slice(colon + 1) }
}

export function sensorEnvelope(scan: SensorScan) {
  const vulnerabilities = deduplicated([...trivyFindings(scan.trivy), ...grypeFindings(scan.grype)])
  const packages = [...trivyPackages(scan.trivy), ...syftPackages(scan.syft)]
  return {
    version: '1.0',
    sensor: {
      version: '0.1.0',
      scannerVersions: scan.scannerVersions ?? {
        trivy: 'Version: 0.69.3',
        grype: 'Application: grype',
        syft: 'Application: syft',
      },
    },
    image: { ref: scan.ref, ...(scan.digest && { digest: scan.digest }), ...nameAndTag(scan.ref) },
    scan: {
      id: scan.id,
      startedAt: '2026-11-21T12:00:00Z',
      finishedAt: '2026-11-21T12:01:00Z',
      status: scan.status ?? 'SUCCESS',
    },
    findings: { vulnerabilities, packages, compliance: [] as Raw[], efficiency: [] as Raw[] },
    aggregates: {
      vulnerabilityCounts: { critical: 0, high: 0, medium: 0, low: 0, info: 0 },
      riskScore: 0,
      totalPackages: packages.length,
    },
  }
}
