import type { BundleSize } from './bundle.ts'
import type { ClaimFigure } from './claims.ts'
import type { IngestFigure } from './ingest.ts'
import type { LoadFigure, Target } from './lists.ts'
import type { MemoryFigure } from './memory.ts'
import { CONNECTIONS, type Plan } from './options.ts'
import type { Portfolio } from './portfolio.ts'
import { REFERENCE_FINDINGS, type Storage } from './storage.ts'
import type { VerdictFigure } from './verdict.ts'

/** Everything one run measured: the JSON file. Times are milliseconds, sizes bytes. */
export interface Report {
  at: string
  seconds: number
  plan: Plan
  machine: { cpus: number; cpu: string; node: string; loadAverageBefore: number; loadAverageAfter: number }
  targets: (Omit<Target, 'call'> & { path: string })[]
  load: LoadFigure[]
  ingest: IngestFigure[]
  storage: Storage
  verdict: VerdictFigure
  portfolio: Portfolio
  claims: ClaimFigure
  memory: MemoryFigure
  bundle: BundleSize
  /** Processor time to start the Worker's code, and the first reply after a start. */
  startupMs: number
  coldMs: number
}

export function printReport({ machine, plan, seconds, ...report }: Report): string {
  return [
    `Benchmark (${plan.name}, ${seconds.toFixed(0)} s) on ${machine.cpus} × ${machine.cpu}, Node ${machine.node}; ` +
      `load average ${machine.loadAverageBefore.toFixed(1)} before, ${machine.loadAverageAfter.toFixed(1)} after.`,
    'Local workerd and D1: only the ratios of one run say something. The load generator shares the processors.',
    '',
    'Reads (requests a second; ms; × is the throughput against the bare handler, which makes the same D1 calls; "cpu" is',
    'the processor time of the serving processes for one request)',
    loadTable(report.targets, report.load),
    '',
    'Ingest (medians, ms; "readable" holds up to 1 s of waiting for the queue, "handler" is the ingest itself)',
    ingestTable(report.ingest),
    '',
    `Pages of ${report.portfolio.matches} vulnerabilities with ${report.portfolio.findings} findings, ${report.portfolio.neighbours} organizations beside it`,
    '(ms inside the Worker from its entry to its reply, D1 included)',
    pageTable(report.portfolio),
    '',
    ...figureLines(report),
  ].join('\n')
}

function loadTable(targets: Report['targets'], figures: readonly LoadFigure[]): string {
  const each = CONNECTIONS.flatMap((number) => [`${number}c r/s`, 'p50', 'p99', '×'])
  const head = ['target', 'items', 'D1 trips', 'rows read', 'cpu', ...each]
  const rows = targets.map(({ name, items, total, cost }) => {
    const of = (number: number) =>
      figures.find(({ target, connections }) => target === name && connections === number)!
    return [
      name,
      items === null ? '' : total === null ? String(items) : `${items} of ${total}`,
      cost ? String(cost.roundTrips) : '',
      cost ? String(cost.rowsRead) : '',
      of(CONNECTIONS[1]).processorMs?.toFixed(1) ?? '',
      ...CONNECTIONS.flatMap((number) => {
        const { perSecond, p50, p99, toBare } = of(number)
        return [perSecond.toFixed(0), p50.toFixed(1), p99.toFixed(1), toBare.toFixed(2)]
      }),
    ]
  })
  return table(head, rows)
}

function ingestTable(figures: readonly IngestFigure[]): string {
  const head = ['findings', 'kind', 'upload KiB', 'answered', 'readable', 'handler', 'µs/finding', 'of first']
  const rows = figures.map((figure) => [
    String(figure.findings),
    figure.kind === 'changed' ? '1 % changed' : figure.kind,
    kib(figure.uploadBytes),
    figure.answeredMs.toFixed(0),
    figure.readableMs.toFixed(0),
    figure.handlerMs.toFixed(0),
    (figure.handlerMsPerFinding * 1000).toFixed(0),
    figure.toFirst.toFixed(2),
    ...[figure.roundTrips, figure.rowsRead, figure.rowsWritten].map(String),
  ])
  return table([...head, 'D1 trips', 'rows read', 'written'], rows)
}

const pageTable = ({ pages }: Portfolio): string =>
  table(
    ['order', 'page', 'rows read', 'p50', 'p99'],
    pages.map(({ sort, page, rowsRead, p50, p99 }) => [sort, ...[page, rowsRead, p50, p99].map(String)]),
  )

const TABLES_SHOWN = 12

function figureLines({
  storage,
  verdict,
  claims,
  memory,
  ...report
}: Omit<Report, 'machine' | 'plan' | 'seconds'>) {
  const { first, rescanned, tables } = storage
  const grown = (rescanned.scans - first.scans).toFixed(0)
  return [
    `Storage: ${mb(first.bytes)} MB for ${first.findings} findings (${first.links} links, ${first.matches} matches, ${first.scans} scans);`,
    `  in proportion ${mb(storage.reference)} MB for ${REFERENCE_FINDINGS}. ${grown} rescans without a change added`,
    `  ${kib(storage.bytesOfRescan)} KiB each. By table: ${tables
      .slice(0, TABLES_SHOWN)
      .map(({ name, bytes }) => `${name} ${mb(bytes)}`)
      .join(', ')} MB.`,
    `A new verdict on ${verdict.holders} artifacts: listed after ${verdict.listedMs.toFixed(0)} ms, counters right after ${verdict.countedMs.toFixed(0)} ms,`,
    `  ${verdict.rowsWritten} rows written in ${verdict.messages} messages.`,
    `Claims with ${claims.queued} jobs queued: p50 ${claims.p50} ms, p99 ${claims.p99} ms inside the Worker; ${claims.roundTrips} round trips,`,
    `  ${claims.rowsRead} rows read, ${claims.rowsWritten} written.`,
    `Memory: ${mb(memory.start)} MB, ${mb(memory.warm)} MB warm, ${mb(memory.end)} MB after ${memory.seconds} s and ${memory.requests} requests;`,
    `  ${mb(memory.growthAMinute)} MB a minute after the warm-up. All of workerd: Worker, databases, buckets, queues.`,
    `Start: ${report.startupMs.toFixed(0)} ms of processor time for the code, ${report.coldMs.toFixed(0)} ms until the first reply of a started process.`,
    `Bundle: ${kib(report.bundle.raw)} KiB, ${kib(report.bundle.gzip)} KiB gzip.`,
  ]
}

const kib = (bytes: number): string => (bytes / 1024).toFixed(bytes < 102_400 ? 1 : 0)
const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)

/** Columns as wide as their widest cell; the first on the left, the others on the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)
  return lines.map((line) => `  ${line.map(cell).join('  ')}`.trimEnd()).join('\n')
}
