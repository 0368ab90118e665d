import type { Scan, ScanStatus } from './scan.ts'

export interface Finding {
  cveId: string
  packageName: string
  packageType: string
  installedVersion: string
  fixedVersion: string | null
  severity: string
  cvss: number | null
  sources: string[]
}

const SEVERITIES = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN']
const BAR = 30
const MAX_ROWS = 60 // a screen or two; the rest is one request away

/** One line that rewrites itself on a terminal, and one line a phase elsewhere. */
export function progressPrinter(out: NodeJS.WriteStream): (status: ScanStatus) => void {
  let last = ''
  return ({ phase, progress, engines }) => {
    const done = Math.round((progress / 100) * BAR)
    const states = engines.map((engine) => `${engine.name} ${engine.status}`).join(', ')
    if (out.isTTY) {
      out.write(
        `\r\x1b[K[${'#'.repeat(done)}${'.'.repeat(BAR - done)}] ${String(progress).padStart(3)} % ${phase}  ${states}`,
      )
      if (phase === 'done') out.write('\n')
    } else if (phase !== last) {
      out.write(`  ${String(progress).padStart(3)} %  ${phase}\n`)
    }
    last = phase
  }
}

/** The findings of one scan as a table, worst first, with what the engines and their databases were. */
export function findingsTable(scan: Scan, findings: Finding[]): string {
  const order = (finding: Finding) => SEVERITIES.indexOf(finding.severity)
  const sorted = [...findings].sort(
    (a, b) => order(a) - order(b) || (b.cvss ?? 0) - (a.cvss ?? 0) || a.cveId.localeCompare(b.cveId),
  )
  const rows = sorted
    .slice(0, MAX_ROWS)
    .map((finding) => [
      finding.severity,
      finding.cveId,
      `${finding.packageName} (${finding.packageType})`,
      finding.installedVersion,
      finding.fixedVersion ?? '–',
      finding.sources.join(' + '),
    ])
  const lines = columns([['SEVERITY', 'CVE', 'PACKAGE', 'INSTALLED', 'FIXED', 'ENGINES'], ...rows])
  if (sorted.length > MAX_ROWS) lines.push(`… and ${sorted.length - MAX_ROWS} more`)
  return [...lines, '', ...summary(scan, findings)].join('\n')
}

function summary(scan: Scan, findings: Finding[]): string[] {
  const corroborated = findings.filter((finding) => finding.sources.length > 1).length
  const counts = Object.entries(scan.counts ?? {}).map(([severity, count]) => `${count} ${severity}`)
  const engines = scan.engines.map((engine) => {
    const database = engine.database
      ? `, database ${engine.database.source}${engine.database.advisories === undefined ? '' : ` of ${engine.database.advisories} advisories`}, built ${engine.database.builtAt}`
      : ''
    const reason = engine.reason ? ` (${engine.reason.message})` : ''
    return `  ${engine.name} ${engine.version ?? ''}: ${engine.status}${reason}${database}`
  })
  const sample = scan.engines.some((engine) => engine.database?.source === 'sample')
  return [
    `${scan.image}  ${scan.platform ?? ''}  ${scan.digest ?? ''}`,
    `${findings.length} findings (${counts.join(', ')}); ${corroborated} confirmed by more than one engine`,
    `Grade ${scan.compliance ?? '–'}, risk score ${scan.riskScore ?? '–'}${scan.partial ? ', PARTIAL: not every engine succeeded' : ''}`,
    ...engines,
    ...(sample ? ['These findings come from SAMPLE databases: a snapshot of advisories, not a feed.'] : []),
  ]
}

function columns(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
