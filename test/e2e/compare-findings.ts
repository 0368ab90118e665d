import type { Printed } from './printed-findings.ts'

/** A finding as the API shows it. */
export interface ShownFinding {
  cveId: string
  aliases: string[]
  packageName: string
  packageType: string
  purl: string
  installedVersion: string
  fixedVersion: string | null
  severity: string
  cvss: number | null
  sources: string[]
  engines: Record<
    string,
    { severity: string; cvss: number | null; fixState: string; fixedVersions: string[] }
  >
  layer: string | null
  path: string | null
}

/** Why the API may show a printed finding in other words than the engine's: the only differences there are. */
export const RULES = {
  alias: 'printed under a GHSA or GO id, shown under the CVE that its aliases name',
  'several CVEs': 'an advisory that names several CVEs is one finding for each',
  'one id without a CVE':
    'engines print different ids of one vulnerability without a CVE: shown under its GHSA',
  'one for all paths': 'printed once for each path or advisory, shown once for the package',
  'purl name': "the package's name as its purl has it, without Maven's group and in PyPI's spelling",
  'purl version': 'the version with the epoch of the purl, or a Go version without its prefix',
  'severity name': 'Title case, and NEGLIGIBLE shown as UNKNOWN',
  'highest severity': 'another engine gives a higher severity',
  'fix of another engine': "trivy's fixed versions stand before grype's",
  'score of another source': 'NVD before GHSA before the distribution, of all that engines print',
} as const
export type Rule = keyof typeof RULES

export interface Comparison {
  /** How often each rule explains a difference between what was printed and what is shown. */
  explained: Partial<Record<Rule, number>>
  unexplained: string[]
  /** Keys that each engine prints, and that are shown. */
  counts: { trivy: number; grype: number; both: number; union: number }
}

const SEVERITIES = ['UNKNOWN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL']
const FIX_STATES: Record<string, string> = {
  fixed: 'fixed',
  affected: 'not-fixed',
  fix_deferred: 'not-fixed',
  'not-fixed': 'not-fixed',
  will_not_fix: 'wont-fix',
  end_of_life: 'wont-fix',
  'wont-fix': 'wont-fix',
}
const FIX_RANK = ['unknown', 'not-fixed', 'wont-fix', 'fixed']
const isCve = (id: string) => id.startsWith('CVE-')

/**
 * Compares what two engines printed with what the API shows of the same image: each must account for the other.
 * `layerDigests`: a layer's diff id, which engines print, to its digest, which the API shows.
 */
export function compareFindings(
  printed: readonly Printed[],
  shown: readonly ShownFinding[],
  layerDigests: ReadonlyMap<string, string>,
): Comparison {
  const explained: Comparison['explained'] = {}
  const unexplained: string[] = []
  const explain = (rule: Rule) => {
    explained[rule] = (explained[rule] ?? 0) + 1
  }
  const targetsOf = aliasesOf(printed)
  const groups = new Map<string, Printed[]>()
  for (const finding of printed) {
    const targets = targetsOf(finding)
    if (targets.length > 1) explain('several CVEs')
    if (!targets.includes(finding.id)) explain(targets.every(isCve) ? 'alias' : 'one id without a CVE')
    for (const id of targets) {
      const key = `${packageOf(finding.purl)} ${id}`
      groups.set(key, [...(groups.get(key) ?? []), finding])
    }
  }
  const rows = new Map(shown.map((row) => [`${packageOf(row.purl)} ${row.cveId}`, row]))
  if (rows.size !== shown.length) unexplained.push(`${shown.length - rows.size} findings are shown twice`)
  for (const [key, row] of rows) {
    const said = groups.get(key)
    if (!said) unexplained.push(`${key} is shown, and no engine printed it`)
    else {
      const differences = [...compareOne(row, said, explain), ...comparePlace(row, said, layerDigests)]
      unexplained.push(...differences.map((difference) => `${key}: ${difference}`))
    }
  }
  for (const key of groups.keys()) if (!rows.has(key)) unexplained.push(`${key} is printed, and not shown`)
  const by = (engine: string) =>
    [...groups.values()].filter((said) => said.some((finding) => finding.engine === engine)).length
  const [trivy, grype] = [by('trivy'), by('grype')]
  return {
    explained,
    unexplained,
    counts: { trivy, grype, both: trivy + grype - groups.size, union: groups.size },
  }
}

function compareOne(row: ShownFinding, said: readonly Printed[], explain: (rule: Rule) => void): string[] {
  const differences: string[] = []
  const expectSame = (what: string, actual: unknown, expected: unknown) => {
    const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== e) differences.push(`${what} is ${a}, expected ${e}`)
  }
  const engines = (['trivy', 'grype'] as const).filter((name) => said.some(({ engine }) => engine === name))
  expectSame('sources', row.sources, engines)
  expectSame('engines', Object.keys(row.engines), engines)
  const best = { severity: 0, fixed: [] as string[] }
  const scores = said.flatMap((finding) => scoresAbout(finding, row.cveId))
  for (const engine of engines) {
    const words = said.filter((finding) => finding.engine === engine)
    for (const _repeated of words.slice(1)) explain('one for all paths')
    const severity = Math.max(...words.map((finding) => severityOf(finding)))
    const fixed = [...new Set(words.flatMap((finding) => finding.fixedVersions))]
    const states = words.map((finding) => FIX_RANK.indexOf(FIX_STATES[finding.fixState] ?? 'unknown'))
    const shown = row.engines[engine]
    expectSame(`${engine}'s severity`, shown?.severity, SEVERITIES[severity])
    expectSame(`${engine}'s fixed versions`, shown?.fixedVersions.toSorted(), fixed.toSorted())
    expectSame(`${engine}'s fix state`, shown?.fixState, FIX_RANK[Math.max(...states)])
    const own = preferredScore(words.flatMap((finding) => scoresAbout(finding, row.cveId)))
    expectSame(`${engine}'s score`, shown?.cvss, own)
    if (own !== row.cvss) explain('score of another source')
    for (const finding of words) explainWords(row, finding, explain)
    best.severity = Math.max(best.severity, severity)
    if (best.fixed.length === 0) best.fixed = fixed
    else if (fixed.length > 0 && fixed.join() !== best.fixed.join()) explain('fix of another engine')
  }
  expectSame('severity', row.severity, SEVERITIES[best.severity])
  expectSame('fixed version', row.fixedVersion?.split(', ').toSorted() ?? [], best.fixed.toSorted())
  expectSame('score', row.cvss, preferredScore(scores))
  return differences
}

/** A finding's path and layer are ones that an engine printed. */
function comparePlace(
  row: ShownFinding,
  said: readonly Printed[],
  layerDigests: ReadonlyMap<string, string>,
): string[] {
  const differences: string[] = []
  const paths = said.flatMap((finding) => finding.paths)
  const layers = said.flatMap(({ layer }) => (layer ? [layerDigests.get(layer) ?? layer] : []))
  if (paths.length > 0 && (!row.path || !paths.includes(row.path)))
    differences.push(`path ${row.path} is none of ${paths.join()}`)
  if (layers.length > 0 && (!row.layer || !layers.includes(row.layer)))
    differences.push(`layer ${row.layer} is none of ${layers.join()}`)
  return differences
}

/** Counts the words of one printed finding that are shown in another form. */
function explainWords(row: ShownFinding, finding: Printed, explain: (rule: Rule) => void): void {
  if (finding.name !== row.packageName) explain('purl name')
  if (finding.version !== row.installedVersion) explain('purl version')
  if (finding.severity !== SEVERITIES[severityOf(finding)]) explain('severity name')
  if (SEVERITIES[severityOf(finding)] !== row.severity) explain('highest severity')
}

const severityOf = ({ severity }: Printed) => Math.max(0, SEVERITIES.indexOf(severity.toUpperCase()))

/** A finding's scores that speak of this vulnerability, not of another CVE of its advisory. */
const scoresAbout = ({ scores }: Printed, id: string) =>
  scores.filter(({ about }) => about === null || about === id || !isCve(about))

function preferredScore(scores: Printed['scores']): number | null {
  const rank = ({ source, version }: Printed['scores'][number]) =>
    (source === 'nvd' ? 0 : source === 'ghsa' ? 4 : 8) + ['3.1', '3.0', '4.0', '2.0'].indexOf(version)
  const best = scores.toSorted((a, b) => rank(a) - rank(b) || b.score - a.score)[0]
  return best?.score ?? null
}

/** The ids that a printed finding is shown under: the CVEs that any engine names for its id, else a GHSA, else its own. */
function aliasesOf(printed: readonly Printed[]): (finding: Printed) => string[] {
  const neighbours = new Map<string, Set<string>>()
  const link = (a: string, b: string) => {
    for (const [from, to] of [[a, b] as const, [b, a] as const]) {
      if (!neighbours.has(from)) neighbours.set(from, new Set())
      neighbours.get(from)!.add(to)
    }
  }
  const joins = (id: string) => isCve(id) || /^(GHSA|GO|PYSEC|RUSTSEC)-/.test(id)
  for (const { id, related } of printed)
    for (const other of related)
      if (joins(id) && joins(other) && !(isCve(id) && isCve(other))) link(id, other)
  return ({ id }) => {
    if (isCve(id)) return [id]
    const [reached, open] = [new Set([id]), [id]]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const next of isCve(at) ? [] : (neighbours.get(at) ?? [])) {
        if (!reached.has(next)) open.push(next)
        reached.add(next)
      }
    }
    const cves = [...reached].filter(isCve).toSorted()
    if (cves.length > 0) return cves
    return [[...reached].filter((other) => other.startsWith('GHSA-')).toSorted()[0] ?? id]
  }
}

/** `type/namespace/name@version` of a purl in the one spelling that engines can be compared in. */
function packageOf(purl: string): string {
  const [before = '', query = ''] = purl.replace(/#.*$/, '').split('?')
  const at = before.lastIndexOf('@')
  const [path, printed] = [before.slice('pkg:'.length, at), decodeURIComponent(before.slice(at + 1))]
  const [type = ''] = path.split('/')
  const name = decodeURIComponent(path).toLowerCase()
  const epoch = new URLSearchParams(query).get('epoch')
  const version = epoch && epoch !== '0' && !printed.includes(':') ? `${epoch}:${printed}` : printed
  if (type === 'golang') return `${name}@${version.replace(/^(go|v)/, '')}`
  return `${type === 'pypi' ? name.replace(/[-_.]+/g, '-') : name}@${version}`
}
