import type { BundleSize } from './bundle.ts'
import type { IngestFigure } from './ingest.ts'
import type { LoadFigure, Target } from './lists.ts'
import { CONNECTIONS, type Plan } from './options.ts'
import { REFERENCE_FINDINGS, type Storage } from './world.ts'

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
  bundle: BundleSize
}

export function printReport({ machine, plan, seconds, ...report }: Report): string {
  return [
    `Benchmark (${plan.name}, ${seconds.toFixed(0)} s) on ${machine.cpus} × ${machine.cpu}, Node ${machine.node}; ` +
      `load average ${machine.loadAverageBefore.toFixed(1)} before, ${machine.loadAverageAfter.toFixed(1)} after.`,
    'Local workerd and D1: only the ratios of one run say something. The load generator shares the processors.',
    '',
    'Lists (requests a second; ms; × is the throughput against the bare handler, which makes the same D1 calls)',
    loadTable(report.targets, report.load),
    '',
    'Ingest (medians, ms; "readable" holds up to 1 s of waiting for the queue, "handler" is the ingest itself)',
    ingestTable(report.ingest),
    '',
    storageLines(report.storage),
    '',
    `Bundle: ${kib(report.bundle.raw)} KiB, ${kib(report.bundle.gzip)} KiB gzip.`,
  ].join('\n')
}

function loadTable(targets: Report['targets'], figures: readonly LoadFigure[]): string {
  const each = CONNECTIONS.flatMap((number) => [`${number}c r/s`, 'p50', 'p99', '×'])
  const head = ['target', 'items', 'D1 trips', 'rows read', ...each]
  const rows = targets.map(({ name, items, total, d1 }) => [
    name,
    total === null ? '' : `${items} of ${total}`,
    d1 ? String(d1.roundTrips) : '',
    d1 ? String(d1.rowsRead) : '',
    ...CONNECTIONS.flatMap((number) => {
      const figure = figures.find(({ target, connections }) => target === name && connections === number)!
      return [
        figure.perSecond.toFixed(0),
        figure.p50.toFixed(1),
        figure.p99.toFixed(1),
        figure.toBare.toFixed(2),
      ]
    }),
  ])
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

function storageLines({ fresh, known, rows, reference }: Storage): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0)
  const each = ({ bytes, images }: Storage['fresh']) => `${kib(bytes / images)} KiB an image`
  return [
    `Storage: the shard grew by ${kib(fresh.bytes)} KiB for ${fresh.images} images with packages of their own`,
    `  (${fresh.findings} findings, ${each(fresh)}), then by ${kib(known.bytes)} KiB for ${known.images} images of known`,
    `  packages (${known.findings} findings, ${each(known)}); ${rows.matches} matches, ${rows.packageLinks} package links,`,
    `  one scan each, free pages included. In proportion, ${REFERENCE_FINDINGS} findings take ${megabytes(reference.lower)} MB where`,
    `  further images bring nothing new, ${megabytes(reference.upper)} MB where they are like those measured.`,
  ].join('\n')
}

const kib = (bytes: number): string => (bytes / 1024).toFixed(0)

/** Columns as wide as their widest cell; the first on the left, the others on the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)
  return lines.map((line) => `  ${line.map(cell).join('  ')}`.trimEnd()).join('\n')
}
