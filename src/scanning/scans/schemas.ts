import { z } from '@hono/zod-openapi'
import { PHASES } from '../sensors/protocol.ts'
import { ENGINES, EngineDatabase, EngineName, SbomFormat } from '../sensors/result.ts'
import { SCAN_STATES } from './read.ts'

const SCAN_ID = 'scn_5m8x1c7v0b2n9k4q3w6e'
const instant = (description: string) =>
  z.iso.datetime().openapi({ description, example: '2026-11-20T09:30:00.000Z' })

export const ScanParams = z.object({
  scanId: z.string().max(64).openapi({ description: 'Id of the scan', example: SCAN_ID }),
})

export const EventsQuery = z.object({
  lastEventId: z.string().max(64).optional().openapi({
    description: 'The id of the last event seen, for clients that cannot send `Last-Event-ID`',
    example: '1763631000000-9f86d081884c7d65',
  }),
})

export const EventsHeaders = z.object({
  'Last-Event-ID': z.string().optional().openapi({
    description:
      'The id of the last event seen: a state that the client has is not sent again. Anything else is as none.',
    example: '1763631000000-9f86d081884c7d65',
  }),
})

export const RawParams = ScanParams.extend({
  engine: EngineName.openapi({ description: 'Whose output', example: 'trivy' }),
})

export const SbomQuery = z.object({
  format: SbomFormat.default('cyclonedx').openapi({
    description: 'CycloneDX 1.5 or SPDX 2.3',
    example: 'spdx',
  }),
})

export const RequestScan = z
  .strictObject({
    image: z.string().trim().min(1).max(1024).openapi({
      description:
        'Reference by tag or digest. Host, port and path choose the registry; without a host it is docker.io',
      example: 'ghcr.io/acme/api:1.4.2',
    }),
    scanners: z
      .array(EngineName)
      .min(1)
      .max(ENGINES.length)
      .openapi({ description: 'Engines to run', example: ['trivy', 'grype', 'syft'] }),
    platform: z.string().max(64).optional().openapi({
      description: '`os/architecture[/variant]`; linux/amd64 when absent, else the only one there is',
      example: 'linux/arm64',
    }),
    registryId: z.string().max(64).optional().openapi({
      description: 'Settles which registry, where several fit',
      example: 'reg_4m8x1c7v0b2n5k9q3w6e',
    }),
  })
  .openapi('RequestScan')

export const ScanRequested = z
  .strictObject({
    scanId: z.string().openapi({ description: 'Id of the scan', example: SCAN_ID }),
    status: z.literal('PENDING'),
    message: z.string().openapi({ description: 'A sentence for people', example: 'Scan queued' }),
    url: z.string().openapi({ description: 'Its page', example: `/dashboard/scans/${SCAN_ID}` }),
  })
  .openapi('ScanRequested')

const Reason = z
  .strictObject({
    code: z.string().openapi({ description: 'Stable code', example: 'image_not_found' }),
    message: z
      .string()
      .openapi({ description: 'A sentence for people', example: 'The image does not exist.' }),
  })
  .openapi('Reason')

const ScanEngine = z
  .strictObject({
    name: EngineName,
    version: z.string().nullable().openapi({ description: 'As the engine says it', example: '0.69.3' }),
    status: z.enum(['pending', 'running', 'succeeded', 'failed', 'unavailable', 'skipped']),
    durationMs: z.int().nullable().openapi({ description: 'Milliseconds', example: 4210 }),
    reason: Reason.nullable(),
    database: EngineDatabase.nullable(),
  })
  .openapi('ScanEngine')

const count = (example: number) => z.int().openapi({ description: 'Findings of this severity', example })
const Counts = z
  .strictObject({ critical: count(0), high: count(4), medium: count(19), low: count(27), unknown: count(1) })
  .openapi('Counts')

const scanShape = {
  id: z.string().openapi({ description: 'Id of the scan', example: SCAN_ID }),
  image: z
    .string()
    .openapi({ description: 'The complete reference that was asked for', example: 'ghcr.io/acme/api:1.4.2' }),
  imageId: z.string().nullable(),
  tagId: z.string().nullable(),
  digest: z.string().nullable().openapi({ description: 'Of the manifest; null until it is resolved' }),
  platform: z
    .string()
    .nullable()
    .openapi({ description: 'Asked for; then what is scanned', example: 'linux/amd64' }),
  status: z.enum(SCAN_STATES),
  partial: z.boolean().openapi({ description: 'Complete, but not every engine succeeded' }),
  reason: Reason.nullable().openapi({ description: 'Why it failed' }),
  compliance: z.enum(['A', 'B', 'C', 'D']).nullable().openapi({ description: 'Grade' }),
  riskScore: z.int().nullable().openapi({ description: '0 to 100, lower is better', example: 31 }),
  counts: Counts.nullable().openapi({ description: "Of the scan's own moment" }),
  duration: z.int().nullable().openapi({ description: 'Milliseconds from start to result', example: 38211 }),
  createdAt: instant('When it was asked for'),
  startedAt: instant('When a runner took it').nullable(),
  scannedAt: instant('When it ended').nullable(),
  engines: z.array(ScanEngine),
}

export const Scan = z.strictObject(scanShape).openapi('Scan')

const Layer = z
  .strictObject({
    digest: z.string(),
    diffId: z.string().nullable(),
    sizeBytes: z.int().openapi({ description: 'Compressed' }),
    command: z.string().nullable(),
  })
  .openapi('Layer')

export const ScanDetail = z
  .strictObject({
    ...scanShape,
    layers: z.array(Layer),
    logs: z.array(z.string()).openapi({ description: 'What the runner noted' }),
  })
  .openapi('ScanDetail')

export const ScanStatus = z
  .strictObject({
    id: scanShape.id,
    status: scanShape.status,
    phase: z.enum(PHASES),
    progress: z.int().min(0).max(100).openapi({ description: 'Percent of the whole scan', example: 40 }),
    engines: z.array(ScanEngine),
    updatedAt: instant('When something changed last'),
  })
  .openapi('ScanStatus')

export const DeletedScan = z
  .strictObject({
    id: scanShape.id,
    deleted: z.boolean().openapi({ description: 'False for a scan that was cancelled and stays readable' }),
  })
  .openapi('DeletedScan')
