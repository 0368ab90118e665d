import type {
  CvssScore,
  FindingEngine,
  FixState,
  ResultFinding,
  ResultVulnerability,
  Severity,
} from '../sensors/result.ts'
import { FINDING_ENGINES, SEVERITIES } from '../sensors/result.ts'
import { type Aliases, isCve } from './aliases.ts'
import type { AdvisoryRecord, NamedFinding } from './report.ts'
import { bounded, byUnits, line, type Notes } from './text.ts'

/** A finding with the package (index) and the vulnerability (id) that it is kept under. */
export interface Verdict {
  finding: NamedFinding
  package: number
  id: string
}

/** NEGLIGIBLE, INFO and whatever else an engine prints are UNKNOWN, as the API has it. */
const severityOf = (printed: string): Severity =>
  SEVERITIES.find((severity) => severity === printed.toUpperCase()) ?? 'UNKNOWN'

/** A finding's records that speak of the vulnerability `id`: not those of other CVEs that its advisory names. */
const recordsFor = ({ records }: NamedFinding, id: string): AdvisoryRecord[] =>
  records.filter((record, at) => at === 0 || record.id === id || !isCve(record.id))

const FIX_ORDER: FixState[] = ['unknown', 'not-fixed', 'wont-fix', 'fixed']
const CVSS_ORDER = ['nvd', 'ghsa']

/** nvd first, then ghsa, then the others by name. */
function rankOf(source: string): number {
  const at = CVSS_ORDER.indexOf(source)
  return at < 0 ? CVSS_ORDER.length : at
}

const byScore = (a: CvssScore, b: CvssScore): number =>
  rankOf(a.source) - rankOf(b.source) ||
  byUnits(a.source, b.source) ||
  byUnits(b.version, a.version) ||
  b.score - a.score ||
  byUnits(a.vector, b.vector)

const distinctBy = <T>(values: T[], key: (value: T) => string): T[] => [
  ...new Map(values.map((value) => [key(value), value])).values(),
]

/** One engine's words on one package and vulnerability: it may say them once a path, or by several advisories. */
function resultFinding(same: Verdict[], vulnerability: number, notes: Notes): ResultFinding {
  const rank = (verdict: Verdict) => SEVERITIES.indexOf(severityOf(verdict.finding.severity))
  const sorted = distinctBy(same, ({ finding }) =>
    [finding.reportedId, finding.severity, finding.fixState, ...finding.fixedVersions].join('\u0000'),
  )
    .map((verdict) => ({
      verdict,
      key: [verdict.finding.reportedId, ...verdict.finding.fixedVersions].join('\u0000'),
    }))
    .sort((a, b) => rank(b.verdict) - rank(a.verdict) || byUnits(a.key, b.key))
    .map(({ verdict }) => verdict)
  const { finding, package: pkg } = sorted[0] as Verdict
  const cvss = same.flatMap((verdict) =>
    recordsFor(verdict.finding, verdict.id).flatMap((record) => record.cvss),
  )
  const distinct = distinctBy(cvss, (score) =>
    JSON.stringify([score.source, score.version, score.vector, score.score]),
  )
  const states = sorted.map((verdict) => FIX_ORDER.indexOf(verdict.finding.fixState))
  const fixed = [...new Set(sorted.flatMap((verdict) => verdict.finding.fixedVersions))]
  return {
    engine: finding.engine,
    package: pkg,
    vulnerability,
    reportedId: finding.reportedId,
    severity: severityOf(finding.severity),
    cvss: bounded(distinct.sort(byScore), 20, 'finding.cvss', notes),
    fixState: FIX_ORDER[Math.max(...states)] ?? 'unknown',
    fixedVersions: bounded(fixed, 50, 'finding.fixedVersions', notes),
  }
}

/** The advisory's text: trivy's first, then grype's; within an engine its own record first, then by content. */
function resultVulnerability(
  id: string,
  verdicts: Verdict[],
  aliases: Aliases,
  notes: Notes,
): ResultVulnerability {
  const records = new Map<string, AdvisoryRecord>()
  for (const { finding } of verdicts) {
    const of = FINDING_ENGINES.indexOf(finding.engine)
    for (const [at, record] of recordsFor(finding, id).entries())
      records.set(`${of}${at === 0 ? 0 : 1}${JSON.stringify(record)}`, record)
  }
  const sorted = [...records].sort(([a], [b]) => byUnits(a, b)).map(([, record]) => record)
  const first = <K extends 'title' | 'description' | 'publishedAt' | 'modifiedAt'>(key: K) =>
    sorted.find((record) => record[key] !== null)?.[key] ?? null
  const cwes = sorted.flatMap((record) =>
    record.cwes.filter((entry) => entry.id === null || entry.id === id || !isCve(id)),
  )
  const cweIds = new Set(cwes.map(({ cwe }) => line(cwe, 32, 'vulnerability.cwe', notes)).filter(Boolean))
  const links = new Set(sorted.flatMap((record) => record.links))
  return {
    id,
    aliases: bounded(aliases.aliasesOf(id), 100, 'vulnerability.aliases', notes),
    title: first('title'),
    description: first('description'),
    links: bounded([...links], 50, 'vulnerability.links', notes),
    cwes: bounded([...cweIds], 50, 'vulnerability.cwes', notes),
    publishedAt: first('publishedAt'),
    modifiedAt: first('modifiedAt'),
  }
}

/** Vulnerabilities by id, and one finding for each engine, package and vulnerability, in that order. */
export function resultVerdicts(
  verdicts: Verdict[],
  aliases: Aliases,
  notes: Notes,
): { vulnerabilities: ResultVulnerability[]; findings: ResultFinding[] } {
  const byId = group(verdicts, (verdict) => verdict.id)
  const ids = [...byId.keys()].sort(byUnits)
  const indexOf = new Map(ids.map((id, at) => [id, at]))
  const byTriple = group(verdicts, ({ finding, package: pkg, id }) => `${finding.engine} ${pkg} ${id}`)
  const findings = [...byTriple.values()].map((same) =>
    resultFinding(same, indexOf.get((same[0] as Verdict).id) as number, notes),
  )
  const rank = (engine: FindingEngine) => FINDING_ENGINES.indexOf(engine)
  findings.sort(
    (a, b) => rank(a.engine) - rank(b.engine) || a.package - b.package || a.vulnerability - b.vulnerability,
  )
  const vulnerabilities = ids.map((id) => resultVulnerability(id, byId.get(id) as Verdict[], aliases, notes))
  return { vulnerabilities, findings }
}

function group<T>(values: T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const value of values) {
    const same = groups.get(key(value))
    if (same) same.push(value)
    else groups.set(key(value), [value])
  }
  return groups
}
