import type { Context } from '../../context.ts'
import { type Statement, statement } from '../../db/database.ts'
import { placedDb } from '../../db/shards.ts'
import { allOf, raw, sql } from '../../db/sql.ts'
import { keyset } from '../../http/keyset.ts'
import type { Key } from '../../http/page-cursor.ts'
import { oneOf, text } from '../../http/page-filters.ts'
import { listSpec, mapPage, pageOf, type RequestOf, readPage, type Total } from '../../http/pages.ts'
import { notFound } from '../../http/problems.ts'
import type { FindingPlace } from '../../risk/findings/index.ts'
import {
  presentScan,
  presentScanDetail,
  presentStatus,
  SCAN_COLUMNS,
  SCAN_JOB,
  type ScanRow,
} from './present.ts'

export const SCAN_STATES = ['PENDING', 'IN_PROGRESS', 'COMPLETE', 'FAILED', 'CANCELLED'] as const

export const SCAN_LIST = listSpec({
  name: 'scans',
  sorts: ['scannedAt', 'status', 'compliance', 'riskScore'],
  defaultSort: { column: 'scannedAt', direction: 'desc' },
  filters: {
    status: oneOf(SCAN_STATES, { QUEUED: 'PENDING', COMPLETED: 'COMPLETE' }),
    search: text(),
  },
})

type ScanListRequest = RequestOf<typeof SCAN_LIST>

interface Order {
  index: string
  columns: string[]
}

const BY_TIME = ['s.scanned_order', 's.id']
const ORDERS: Record<ScanListRequest['sort']['column'], Order> = {
  scannedAt: { index: 'scans_scanned', columns: BY_TIME },
  status: { index: 'scans_status', columns: ['s.status', ...BY_TIME] },
  compliance: { index: 'scans_compliance', columns: ['s.compliance_order', 's.id'] },
  riskScore: { index: 'scans_risk', columns: ['s.risk_order', 's.id'] },
}

const MAX_COUNTED = 10_000 // exact up to here, then an estimate that says so

/**
 * The organization's scans, a page of them. One round trip; a page read in every order, and by status in the
 * order of scannedAt or status; other filters are one pass over the organization's scans.
 */
export async function listScans(ctx: Context, url: string) {
  const request = readPage(SCAN_LIST, url)
  const org = ctx.organization.num
  const { index, columns } = orderOf(request)
  const conditions = allOf(conditionsOf(request))
  const { after, order, window } = keyset(request, columns)
  const keys = columns.map((column, at) => `${column} AS k${at}`).join(', ')
  const results = await ctx.db.batch([
    sql`SELECT ${raw(SCAN_COLUMNS)}, ${raw(keys)} FROM scans s INDEXED BY ${raw(index)} ${raw(SCAN_JOB)}
         WHERE s.org = ${org} AND ${conditions} AND ${after} ORDER BY ${order} ${window}`,
    ...(request.cursor ? [] : totals(org, request, conditions)),
  ])
  const rows = results[0]!.rows as unknown as (ScanRow & Record<`k${number}`, Key>)[]
  const total = request.cursor ? null : totalOf(results[1]!.rows[0], results[2]?.rows[0])
  const page = pageOf(request, rows, total, (row) => columns.map((_, at) => row[`k${at}`]!))
  return mapPage(page, presentScan)
}

/** Within one status the order by status is that by time: one index serves both. */
function orderOf({ sort, filters }: ScanListRequest): Order {
  const isTimed = sort.column === 'scannedAt' || sort.column === 'status'
  return filters.status && isTimed ? { index: 'scans_status', columns: BY_TIME } : ORDERS[sort.column]
}

const conditionsOf = ({ filters }: ScanListRequest): Statement[] => [
  ...(filters.status ? [sql`s.status = ${filters.status}`] : []),
  ...(filters.search ? [sql`instr(lower(s.image), ${filters.search.toLowerCase()}) > 0`] : []),
]

/** All scans have a counter; filtered ones are counted up to the bound. */
function totals(org: number, request: ScanListRequest, conditions: Statement): Statement[] {
  const all = sql`SELECT scans FROM scan_totals WHERE org = ${org}`
  if (Object.keys(request.filters).length === 0) return [all]
  const index = request.filters.status ? 'scans_status' : 'scans_scanned'
  return [
    all,
    sql`SELECT count(*) AS counted FROM (SELECT 1 FROM scans s INDEXED BY ${raw(index)}
         WHERE s.org = ${org} AND ${conditions} LIMIT ${MAX_COUNTED + 1})`,
  ]
}

function totalOf(all: Record<string, unknown> | undefined, filtered?: Record<string, unknown>): Total {
  const scans = Number(all?.scans ?? 0)
  if (!filtered) return { total: scans }
  const counted = Number(filtered.counted)
  return counted > MAX_COUNTED ? { total: scans, totalIsEstimate: true } : { total: counted }
}

/** One scan with layers and logs. One round trip. Throws NOT_FOUND. */
export async function readScan(ctx: Context, scanId: string) {
  const row = await ctx.db.first<ScanRow & { layers: string | null; logs: string | null }>(
    statement(
      `SELECT ${SCAN_COLUMNS}, s.logs, a.layers FROM scans s ${SCAN_JOB}
         LEFT JOIN artifacts a ON a.org = s.org AND a.id = s.artifact
        WHERE s.org = ? AND s.id = ?`,
      ctx.organization.num,
      scanId,
    ),
  )
  if (!row) throw notFound('Scan')
  return presentScanDetail(row)
}

/** How far a scan is; that of its leader where it follows one. One round trip. Throws NOT_FOUND. */
export async function readScanStatus(ctx: Context, scanId: string) {
  const row = await ctx.db.first<ScanRow>(
    statement(
      `SELECT ${SCAN_COLUMNS} FROM scans s ${SCAN_JOB} WHERE s.org = ? AND s.id = ?`,
      ctx.organization.num,
      scanId,
    ),
  )
  if (!row) throw notFound('Scan')
  return presentStatus(row)
}

export type ScanProgress = ReturnType<typeof presentStatus>

/**
 * The same for who waits for a change, with the job that the scan's progress comes from. The session is its own and
 * begins at the primary, so that a change just told is seen. One round trip. Throws NOT_FOUND.
 */
export async function readScanProgress(
  ctx: Context,
  scanId: string,
): Promise<{ progress: ScanProgress; jobId: string | null }> {
  const { num, shard } = ctx.organization
  const row = await placedDb(ctx.env, shard, ctx.directory.meter).first<ScanRow & { job: string | null }>(
    statement(
      `SELECT ${SCAN_COLUMNS}, j.id AS job FROM scans s ${SCAN_JOB} WHERE s.org = ? AND s.id = ?`,
      num,
      scanId,
    ),
  )
  if (!row) throw notFound('Scan')
  return { progress: presentStatus(row), jobId: row.job }
}

/** Where a scan's findings are: its artifact, of now. */
export const findingsOfScan = (ctx: Context, scanId: string): FindingPlace => ({
  resource: 'Scan',
  select: sql`SELECT s.artifact, s.image_id AS imageId, i.name AS imageName, s.tag FROM scans s
    LEFT JOIN images i ON i.org = s.org AND i.id = s.image_id
    WHERE s.org = ${ctx.organization.num} AND s.id = ${scanId}`,
})
