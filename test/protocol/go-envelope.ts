import { omitEmpty } from './go-json.ts'

/** The envelope 1.0 as the Go sensor builds it from what its engines printed. */

export interface GoVulnerability {
  cveId: string
  source: 'trivy' | 'grype' | 'osv'
  /** As the engine prints it. */
  severity: string
  cvssScore?: number
  title?: string
  description?: string
  packageName: string
  installedVersion?: string
  fixedVersion?: string
  vulnerabilityUrl?: string
}

export interface GoPackage {
  name: string
  version: string
  type: string
  source: 'trivy' | 'syft'
  license?: string
  purl?: string
}

/** What one engine did. `failed` reaches the server only in `scan.status`. */
export interface GoEngineRun {
  engine: string
  failed?: boolean
  vulnerabilities?: GoVulnerability[]
  packages?: GoPackage[]
  compliance?: Record<string, unknown>[]
  efficiency?: Record<string, unknown>[]
  /** trivy's Metadata.RepoDigests[0], or syft's target digest. */
  digest?: string
}

const RANK = ['INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL']
const severityOf = (printed: string) =>
  ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'].includes(printed.toUpperCase()) ? printed.toUpperCase() : 'INFO'

/** One for each id and package name, the more severe; otherwise the first. */
function deduplicate(found: readonly GoVulnerability[]): GoVulnerability[] {
  const kept = new Map<string, GoVulnerability>()
  for (const given of found) {
    const one = { ...given, severity: severityOf(given.severity) }
    const key = `${one.cveId}:${one.packageName}`
    const other = kept.get(key)
    if (!other || RANK.indexOf(one.severity) > RANK.indexOf(other.severity)) kept.set(key, one)
  }
  return [...kept.values()]
}

export const goStatus = (runs: readonly GoEngineRun[]): 'SUCCESS' | 'PARTIAL' | 'FAILED' => {
  const failed = runs.filter((run) => run.failed).length
  if (failed === 0) return 'SUCCESS'
  return failed === runs.length ? 'FAILED' : 'PARTIAL'
}

/** Name and tag from the last component of the path, as wrong as the sensor makes them. */
export function goNameAndTag(ref: string): { name: string; tag: string } {
  const last = ref.slice(ref.lastIndexOf('/') + 1)
  const colon = last.indexOf(':')
  return colon === -1
    ? { name: last, tag: 'latest' }
    : { name: last.slice(0, colon), tag: last.slice(colon + 1) }
}

const seconds = (time: number) => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')

export function goEnvelope(
  scan: { id: string; imageRef: string; startedAt: number; finishedAt: number },
  scannerVersions: Record<string, string>,
  runs: readonly GoEngineRun[],
): Record<string, unknown> {
  const worked = runs.filter((run) => !run.failed)
  const vulnerabilities = deduplicate(worked.flatMap((run) => run.vulnerabilities ?? []))
  const packages = worked.flatMap((run) => run.packages ?? [])
  const count = (severity: string) => vulnerabilities.filter((one) => one.severity === severity).length
  const counts = { critical: count('CRITICAL'), high: count('HIGH'), medium: count('MEDIUM') }
  const low = count('LOW')
  const scores = vulnerabilities.flatMap(({ cvssScore }) => (cvssScore ? [cvssScore] : []))
  const mean = scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + score, 0) / scores.length
  const risk = Math.round(25 * counts.critical + 10 * counts.high + 3 * counts.medium + low + 5 * mean)
  return {
    version: '1.0',
    sensor: { version: '0.1.0', scannerVersions: sorted(scannerVersions) },
    image: {
      ref: scan.imageRef,
      ...omitEmpty({ digest: worked.find(({ digest }) => digest)?.digest }),
      ...goNameAndTag(scan.imageRef),
    },
    scan: {
      id: scan.id,
      startedAt: seconds(scan.startedAt),
      finishedAt: seconds(scan.finishedAt),
      status: goStatus(runs),
    },
    findings: {
      vulnerabilities: vulnerabilities.map((one) => ({
        cveId: one.cveId,
        source: one.source,
        severity: one.severity,
        ...omitEmpty({ cvssScore: one.cvssScore, title: one.title, description: one.description }),
        packageName: one.packageName,
        ...omitEmpty({
          installedVersion: one.installedVersion,
          fixedVersion: one.fixedVersion,
          vulnerabilityUrl: one.vulnerabilityUrl,
        }),
      })),
      packages: packages.map(({ name, version, type, source, license, purl }) => ({
        ...{ name, version, type, source },
        ...omitEmpty({ license, purl }),
      })),
      compliance: worked.flatMap((run) => run.compliance ?? []),
      efficiency: worked.flatMap((run) => run.efficiency ?? []),
    },
    aggregates: {
      vulnerabilityCounts: { ...counts, low, info: count('INFO') },
      riskScore: Math.min(100, risk),
      totalPackages: packages.length,
    },
  }
}

/** A Go map is encoded in the order of its keys. */
const sorted = (map: Record<string, string>) =>
  Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
