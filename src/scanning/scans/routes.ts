import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { listOf, listQuery } from '../../http/page-schemas.ts'
import { mapPage, readPage } from '../../http/pages.ts'
import { bare, data, list } from '../../http/reply.ts'
import { FindingList } from '../../inventory/images/index.ts'
import { FINDING_LIST, listFindings, MATCH_FILTER_TEXTS, presentFinding } from '../../risk/findings/index.ts'
import { MAX_STREAMS } from '../scan-viewers.ts'
import { deleteScan } from './delete.ts'
import { downloadRaw, downloadSbom } from './download.ts'
import { findingsOfScan, listScans, readScan, readScanStatus, SCAN_LIST } from './read.ts'
import { requestScan } from './request.ts'
import {
  DeletedScan,
  EventsHeaders,
  EventsQuery,
  RawParams,
  RequestScan,
  SbomQuery,
  Scan,
  ScanDetail,
  ScanParams,
  ScanRequested,
  ScanStatus,
} from './schemas.ts'
import { streamScan } from './stream.ts'

const one = <Schema extends z.ZodType>(schema: Schema) => z.strictObject({ data: schema })
const tags = ['Scans']

/** The documented reply: bare, and the resource's address as Location. */
const requested = (scanId: string) =>
  bare(
    202,
    { scanId, status: 'PENDING', message: 'Scan queued', url: `/dashboard/scans/${scanId}` },
    { Location: `/api/scans/${scanId}` },
  )

const EVENTS_DESCRIPTION = [
  "Each event's data is the object of `GET /api/scans/{scanId}/status` (ScanStatus) on one line.",
  '`progress`: the scan goes on. `end`: its last state; the stream closes behind it.',
  'Ids only grow, and a state is not sent twice. A line that begins with a colon comes every 15 seconds while nothing',
  'changes. After five minutes the stream closes; a client that asks again with the last id goes on where it was, as',
  `EventSource does by itself. An organization may have ${MAX_STREAMS} streams open.`,
].join(' ')

const watchingOf = (scanId: string, queried: string | undefined, { headers, method, signal }: Request) => ({
  scanId,
  lastEventId: headers.get('Last-Event-ID') ?? queried ?? null,
  client: signal,
  isHead: method === 'HEAD',
})

export const scanRoutes = [
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans',
      operationId: 'listScans',
      tags,
      summary: 'List scans',
      query: listQuery(SCAN_LIST, {
        status: {
          description: 'State; QUEUED is another name of PENDING, COMPLETED of COMPLETE',
          example: 'FAILED',
        },
        search: { description: 'Part of the image reference', example: 'acme/api' },
      }),
      responses: { 200: { description: 'One page', schema: listOf(Scan, 'ScanPage') } },
    },
    async (ctx, { request }) => list(await listScans(ctx, request.url)),
  ),
  endpoint(
    harborguard,
    role('ci'),
    {
      method: 'post',
      path: '/api/scans',
      operationId: 'requestScan',
      tags,
      summary: 'Scan an image',
      description:
        'The image is resolved in the background: a missing tag ends the scan FAILED with a reason. Nothing is pulled from a host that no registry is connected to.',
      body: RequestScan,
      rateLimit: { requests: 10, windowSeconds: 60 },
      idempotency: { store: 'shard', present: async (_ctx, id) => requested(id) },
      responses: {
        202: { description: 'Queued', schema: ScanRequested, headers: { Location: 'Where the scan is' } },
      },
    },
    async (ctx, { body }) => requested((await requestScan(ctx, { ...body, trigger: 'manual' })).scanId),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}',
      operationId: 'getScan',
      tags,
      summary: 'Read a scan with its layers and logs',
      params: ScanParams,
      responses: { 200: { description: 'The scan', schema: one(ScanDetail) } },
    },
    async (ctx, { params }) => data(await readScan(ctx, params.scanId)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}/status',
      operationId: 'getScanStatus',
      tags,
      summary: 'Read how far a scan is',
      params: ScanParams,
      responses: { 200: { description: 'Its progress', schema: one(ScanStatus) } },
    },
    async (ctx, { params }) => data(await readScanStatus(ctx, params.scanId)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}/events',
      operationId: 'streamScanEvents',
      tags,
      summary: 'Follow how far a scan is',
      description: EVENTS_DESCRIPTION,
      params: ScanParams,
      query: EventsQuery,
      headers: EventsHeaders,
      responses: {
        200: {
          description: 'Server-Sent Events, UTF-8',
          mediaTypes: ['text/event-stream'],
          headers: { 'X-Accel-Buffering': 'Asks proxies not to hold events back' },
        },
        204: { description: 'The last event seen was the last of all: do not ask again' },
      },
      problems: ['RATE_LIMITED'],
    },
    (ctx, { params, query, request }) =>
      streamScan(ctx, watchingOf(params.scanId, query.lastEventId, request)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}/vulnerabilities',
      operationId: 'listScanVulnerabilities',
      tags,
      summary: 'List the findings of what a scan scanned',
      description: 'As the artifact shows them now; what the engines printed then is in their outputs.',
      params: ScanParams,
      query: listQuery(FINDING_LIST, MATCH_FILTER_TEXTS),
      responses: { 200: { description: 'A page', schema: FindingList } },
    },
    async (ctx, { params, request }) => {
      const place = findingsOfScan(ctx, params.scanId)
      const page = await listFindings(ctx, place, readPage(FINDING_LIST, request.url))
      return list(mapPage(page, presentFinding))
    },
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}/raw/{engine}',
      operationId: 'getScanOutput',
      tags,
      summary: "Download an engine's own output",
      description:
        'Byte for byte, but for temporary paths of the runner. Kept for 30 days and the last 3 scans.',
      params: RawParams,
      responses: {
        200: {
          description: 'The output',
          mediaTypes: ['application/json'],
          headers: { ETag: 'Its SHA-256' },
        },
        304: { description: 'Unchanged since the ETag given' },
      },
    },
    (ctx, { params, request }) => downloadRaw(ctx, params.scanId, params.engine, request),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/scans/{scanId}/sbom',
      operationId: 'getScanSbom',
      tags,
      summary: 'Download the SBOM',
      description: 'Byte for byte as syft wrote it.',
      params: ScanParams,
      query: SbomQuery,
      responses: {
        200: {
          description: 'The SBOM',
          mediaTypes: ['application/vnd.cyclonedx+json', 'application/spdx+json'],
          headers: { ETag: 'Its SHA-256' },
        },
        304: { description: 'Unchanged since the ETag given' },
      },
    },
    (ctx, { params, query, request }) => downloadSbom(ctx, params.scanId, query.format, request),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'delete',
      path: '/api/scans/{scanId}',
      operationId: 'deleteScan',
      tags,
      summary: 'Cancel or delete a scan',
      description:
        'A scan that has not ended is cancelled, and stays so when the call is repeated within a minute; one that has ended is deleted with the outputs no other scan names. Findings stay with the image.',
      params: ScanParams,
      responses: { 200: { description: 'What was done', schema: one(DeletedScan) } },
    },
    async (ctx, { params }) => {
      const done = await deleteScan(ctx, params.scanId)
      return data({ id: params.scanId, deleted: done === 'deleted' })
    },
  ),
]
