import { z } from '@hono/zod-openapi'
import { SENSOR_STATES } from '../../scanning/live-runners.ts'
import { ENGINES, RunnerLabels } from '../../scanning/sensors/protocol.ts'
import { UsernamePassword } from './credentials.ts'
import { PROVIDER_NAMES } from './provider-names.ts'
import { registryProvider } from './providers/index.ts'
import { isTagGlob, MAX_GLOB_LENGTH } from './tag-glob.ts'

const SCAN_METHODS = ['cloud', 'sensor'] as const
export type ScanMethod = (typeof SCAN_METHODS)[number]

const SCHEDULES = ['manual', 'on_push', 'daily', 'weekly'] as const
export type Schedule = (typeof SCHEDULES)[number]

const ID_EXAMPLE = 'reg_4m8x1c7v0b2n5k9q3w6e'
const ON_PUSH = 'Registries cannot announce pushes here: choose daily, weekly or manual'

export const RegistryParams = z.object({
  registryId: z.string().max(64).openapi({ description: 'Id of the registry', example: ID_EXAMPLE }),
})

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .openapi({ description: 'What people call the registry', example: 'Production registry' })

const provider = z
  .enum(PROVIDER_NAMES)
  .superRefine((name, check) => {
    const choice = registryProvider(name)
    if (!choice.ok) check.addIssue({ code: 'custom', message: choice.message })
  })
  .openapi({ description: 'What kind of registry it is', example: 'DOCKER_REGISTRY' })

const url = z.string().trim().min(1).max(2048).openapi({
  description:
    '`host[:port][/prefix]`, with or without a scheme; the prefix limits the connection to what is below it',
  example: 'registry.example.com/team',
})

const insecure = z.boolean().openapi({
  description: 'Allows plain http. Certificates are verified always, except by a sensor',
  example: false,
})

const scanMethod = z.enum(SCAN_METHODS).openapi({
  description:
    '`cloud`: our runners scan. `sensor`: a sensor in your network scans, bound to this registry by its key',
  example: 'cloud',
})

const scanners = z
  .array(z.enum(ENGINES))
  .min(1)
  .max(ENGINES.length)
  .transform((names) => [...new Set(names)])
  .openapi({ description: 'Engines that scheduled scans ask for', example: ['trivy', 'grype', 'syft'] })

const schedule = z
  .enum(SCHEDULES)
  .refine((value) => value !== 'on_push', ON_PUSH)
  .openapi({
    description: 'How often its tags are scanned, at a minute of its own. `on_push` is refused',
    example: 'daily',
  })

const tagGlob = (description: string, example: string) =>
  z
    .string()
    .trim()
    .max(MAX_GLOB_LENGTH)
    .refine(isTagGlob, 'must be tag patterns of letters, digits, _ . - * ? and commas between them')
    .transform((text) => text || null)
    .nullable()
    .openapi({ description, example })

const includeTags = tagGlob(
  'Tags that count, as globs (`*`, `?`) with commas between; all when null',
  'v*,latest',
)
const excludeTags = tagGlob('Tags that do not count, in the same form', '*-dev')

const runnerLabels = RunnerLabels.transform((labels) => [...new Set(labels)].sort()).openapi({
  description: 'Only runners that registered all of these labels scan it; any runner when empty',
  example: ['zone=eu', 'gpu'],
})

const credentials = UsernamePassword.nullable().openapi({
  description: 'User name and password or token. Stored encrypted, never returned; null is anonymous access',
})

export const CreateRegistry = z
  .strictObject({
    name,
    provider,
    url: url.optional().openapi({ description: 'Required for DOCKER_REGISTRY and CUSTOM' }),
    credentials: credentials.optional(),
    scanMethod: scanMethod.default('cloud'),
    scanners: scanners.default(['trivy', 'grype', 'syft']),
    schedule: schedule.default('daily'),
    includeTags: includeTags.optional(),
    excludeTags: excludeTags.optional(),
    runnerLabels: runnerLabels.default([]),
    insecure: insecure.default(false),
  })
  .openapi('CreateRegistry')
export type CreateRegistry = z.output<typeof CreateRegistry>

export const UpdateRegistry = z
  .strictObject({
    name: name.optional(),
    scanning: z
      .strictObject({
        method: scanMethod.optional(),
        scanners: scanners.optional(),
        schedule: schedule.optional(),
        includeTags: includeTags.optional(),
        excludeTags: excludeTags.optional(),
        runnerLabels: runnerLabels.optional(),
      })
      .optional()
      .openapi({ description: 'The scan policy; what is absent stays' }),
    url: url.optional().openapi({ description: 'Changing it needs the credentials again' }),
    insecure: insecure.optional().openapi({ description: 'Changing it needs the credentials again' }),
    credentials: credentials.optional().openapi({ description: 'Absent keeps them, null removes them' }),
  })
  .openapi('UpdateRegistry')
export type UpdateRegistry = z.output<typeof UpdateRegistry>

export const TestConnection = z
  .strictObject({
    provider,
    url: url.optional(),
    credentials: credentials.optional(),
    insecure: insecure.default(false),
  })
  .openapi('TestConnection')
export type TestConnection = z.output<typeof TestConnection>

const Reason = z
  .strictObject({
    code: z.string().openapi({ description: 'Stable code', example: 'registry_unauthorized' }),
    message: z
      .string()
      .openapi({ description: 'A sentence', example: 'The registry refused the credentials.' }),
  })
  .openapi('Reason')

const instant = (description: string) =>
  z.iso.datetime().nullable().openapi({ description, example: '2026-11-20T09:30:00.000Z' })

const policy = {
  scanners: z.array(z.enum(ENGINES)).openapi({ description: 'Engines that scheduled scans ask for' }),
  schedule: z.enum(SCHEDULES).openapi({ description: 'How often its tags are scanned', example: 'daily' }),
  includeTags: z
    .string()
    .nullable()
    .openapi({ description: 'Tags that count; all when null', example: 'v*' }),
  excludeTags: z.string().nullable().openapi({ description: 'Tags that do not count', example: '*-dev' }),
  runnerLabels: z
    .array(z.string())
    .openapi({ description: 'Labels that a runner needs to scan it', example: ['zone=eu'] }),
}

export const Registry = z
  .strictObject({
    id: z.string().openapi({ description: 'Id of the registry', example: ID_EXAMPLE }),
    name: z.string().openapi({ description: 'What people call it', example: 'Production registry' }),
    provider,
    url: z.string().openapi({ description: 'Its address', example: 'https://registry.example.com/team' }),
    scanMethod,
    ...policy,
    insecure: z.boolean().openapi({ description: 'Whether plain http is allowed', example: false }),
    hasCredentials: z.boolean().openapi({ description: 'Whether credentials are stored', example: true }),
    status: z.enum(['UNTESTED', 'ACTIVE', 'ERROR']).openapi({ description: 'As of the last contact' }),
    statusReason: Reason.nullable().openapi({ description: 'What was wrong at the last contact' }),
    scanning: z
      .strictObject({ method: scanMethod, ...policy })
      .openapi({ description: 'The same policy, in the form that updates take' }),
    syncStatus: z
      .enum(['idle', 'queued', 'running'])
      .openapi({ description: 'Whether its catalogue is being read' }),
    imageCount: z.int().openapi({ description: 'Images known', example: 12 }),
    lastSyncedAt: instant('When its catalogue was last read to the end'),
    nextRunAt: instant('When the schedule scans its tags next'),
    createdAt: z.iso.datetime().openapi({ description: 'When it was connected' }),
    updatedAt: z.iso.datetime().openapi({ description: 'When its settings changed last' }),
  })
  .openapi('Registry')

const sensorApiKey = z.string().optional().openapi({
  description: 'Key of its sensor, only in the reply that made it',
  example: 'hg_ak_1f3c…',
})

export const RegistryWithKey = z.strictObject({ ...Registry.shape, sensorApiKey }).openapi('RegistryWithKey')

export const DeletedRegistry = z
  .strictObject({ id: z.string(), deleted: z.literal(true) })
  .openapi('DeletedRegistry')

export const ConnectionResult = z
  .strictObject({
    ok: z.boolean().openapi({ description: 'Whether a registry answers there and takes the credentials' }),
    authentication: z
      .enum(['none', 'basic', 'bearer'])
      .nullable()
      .openapi({ description: 'What it asks for; null where it did not answer as a registry' }),
    reason: Reason.nullable().openapi({ description: 'Why not; null where ok' }),
  })
  .openapi('ConnectionResult')

export const SyncStarted = z
  .strictObject({
    registryId: z.string().openapi({ description: 'Id of the registry', example: ID_EXAMPLE }),
    syncStatus: z.enum(['queued', 'running']).openapi({ description: 'One sync runs at a time' }),
    url: z
      .string()
      .openapi({ description: 'Where to look how far it is', example: `/api/registries/${ID_EXAMPLE}` }),
  })
  .openapi('SyncStarted')

export const SensorStatus = z
  .strictObject({
    status: z
      .enum(SENSOR_STATES)
      .openapi({ description: 'offline after 2 minutes of silence, 5 minutes behind a registration' }),
    lastHeartbeatAt: instant('When a sensor was last heard of'),
    version: z
      .string()
      .nullable()
      .openapi({ description: 'Version of the sensor heard last', example: '0.1.0' }),
    currentJob: z
      .strictObject({ scanId: z.string() })
      .nullable()
      .openapi({ description: 'The scan that a sensor of this registry works on' }),
  })
  .openapi('SensorStatus')
