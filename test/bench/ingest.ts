import type { Result } from '../../src/scanning/sensors/result.ts'
import { aResult, DAY } from '../risk/results.ts'
import { INGESTS } from './options.ts'
import type { Delivery } from './runner.ts'
import type { BenchServer, MessageCost } from './server.ts'
import { median } from './statistics.ts'
import { type Tenant, until } from './tenant.ts'
import { digestOf } from './world.ts'

const KINDS = ['first', 'unchanged', 'changed'] as const
export type IngestKind = (typeof KINDS)[number]

/** Medians over the repeats. Times are milliseconds. */
export interface IngestFigure {
  findings: number
  kind: IngestKind
  uploadBytes: number
  /** From the upload's first byte until it was answered, and until its findings can be read. */
  answeredMs: number
  readableMs: number
  /** Inside the queue handler, and what D1 charged there. */
  handlerMs: number
  roundTrips: number
  rowsRead: number
  rowsWritten: number
  /** Handler's time by finding, and against the first ingest of the same size. */
  handlerMsPerFinding: number
  toFirst: number
}

interface Run {
  findings: number
  kind: IngestKind
  delivery: Delivery
  cost: MessageCost
}

/** Ingests each size `repeats` times afresh: first, the same again by newer databases, then with 1 % changed. */
export async function measureIngest(
  server: BenchServer,
  tenant: Tenant,
  repeats: number,
  now: number,
): Promise<IngestFigure[]> {
  const images = Array.from({ length: repeats }, (_, repeat) =>
    INGESTS.map((size, index) => ({
      ...size,
      repository: `ingest/n${size.findings}-${repeat}`,
      repeat,
      index,
    })),
  ).flat()
  const runs: Run[] = []
  for (const kind of KINDS) {
    await tenant.requestScans(images.map(({ repository }) => `${repository}:1.0`))
    for (let done = 0; done < images.length; done++) {
      const claimed = await tenant.claim()
      const image = images.find(({ repository }) => repository === claimed.repository)!
      const delivery = await tenant.deliver(claimed, resultOf(kind, image, now))
      runs.push({ findings: image.findings, kind, delivery, cost: await costOf(server, delivery.scanId) })
    }
  }
  return INGESTS.flatMap(({ findings }) => KINDS.map((kind) => figure(runs, findings, kind)))
}

interface IngestImage {
  findings: number
  packages: number
  repeat: number
  index: number
}

/** Half of the changed findings are gone, the other half new. */
function resultOf(kind: IngestKind, { findings, packages, repeat, index }: IngestImage, now: number): Result {
  const number = 1000 + repeat * INGESTS.length + index
  const shape = { packages, seed: number, digest: digestOf(2, number) }
  const build = now - (10 - KINDS.indexOf(kind)) * DAY
  if (kind !== 'changed') return withOwnIds(aResult({ ...shape, findings, build }), number)
  const more = Math.max(1, Math.round(findings / 200))
  const isGone = (finding: number) => finding < findings && finding % 200 === 0
  return withOwnIds(aResult({ ...shape, findings: findings + more, build, without: isGone }), number)
}

/** Advisories that no other image has: one id with two texts would be written by every ingest of either. */
function withOwnIds(result: Result, number: number): Result {
  const own = (id: string) => `${id}${number}`
  return {
    ...result,
    vulnerabilities: result.vulnerabilities.map((advisory) => ({ ...advisory, id: own(advisory.id) })),
    findings: result.findings.map((finding) => ({ ...finding, reportedId: own(finding.reportedId) })),
  }
}

/** The log line of the message that ingested a scan; it is written right after the scan became COMPLETE. */
const costOf = (server: BenchServer, scanId: string): Promise<MessageCost> =>
  until('the cost of an ingest', async () => {
    const costs = server.messageCosts()
    return costs.find((cost) => cost.kind === 'scan.ingest' && cost.scanId === scanId) ?? null
  })

function figure(runs: readonly Run[], findings: number, kind: IngestKind): IngestFigure {
  const of = (wanted: IngestKind) => runs.filter((run) => run.findings === findings && run.kind === wanted)
  const mid = (read: (run: Run) => number) => median(of(kind).map(read))
  const handlerMs = mid(({ cost }) => cost.ms)
  return {
    ...{ findings, kind, handlerMs },
    uploadBytes: mid(({ delivery }) => delivery.uploadBytes),
    answeredMs: mid(({ delivery }) => delivery.answeredMs),
    readableMs: mid(({ delivery }) => delivery.readableMs),
    roundTrips: mid(({ cost }) => cost.roundTrips),
    rowsRead: mid(({ cost }) => cost.rowsRead),
    rowsWritten: mid(({ cost }) => cost.rowsWritten),
    handlerMsPerFinding: handlerMs / findings,
    toFirst: handlerMs / median(of('first').map(({ cost }) => cost.ms)),
  }
}
