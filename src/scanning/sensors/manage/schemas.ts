import { z } from '@hono/zod-openapi'
import { SENSOR_STATES } from '../../live-runners.ts'

const ID_EXAMPLE = 'agt_2n5k9q3w6e4m8x1c7v0b'

export const SensorParams = z.object({
  sensorId: z.string().max(200).openapi({ description: 'Id of the sensor', example: ID_EXAMPLE }),
})

const instant = (description: string) =>
  z.iso.datetime().openapi({ description, example: '2026-11-20T09:30:00.000Z' })

export const Sensor = z
  .strictObject({
    id: z.string().openapi({ description: 'Id of the sensor', example: ID_EXAMPLE }),
    name: z.string().openapi({ description: 'As it registered', example: 'sensor-eu' }),
    hostname: z.string().openapi({ description: 'Its host', example: 'scan-1' }),
    platform: z
      .string()
      .openapi({ description: 'Operating system and architecture', example: 'linux/amd64' }),
    version: z.string().openapi({ description: 'Of the program', example: '0.1.0' }),
    protocolVersion: z.int().nullable().openapi({
      description: 'Highest protocol version that it speaks; null where it names none',
      example: 1,
    }),
    capabilities: z
      .array(z.string())
      .openapi({ description: 'What it can do; without `lease` it is the public sensor', example: ['scan'] }),
    engines: z
      .record(z.string(), z.string())
      .openapi({ description: 'Engine to version, in its own words', example: { trivy: 'Version: 0.69.3' } }),
    labels: z
      .array(z.string())
      .openapi({ description: 'What it says about its place', example: ['zone=eu'] }),
    concurrency: z.int().openapi({ description: 'Jobs that it takes at one time', example: 1 }),
    registryId: z
      .string()
      .nullable()
      .openapi({ description: 'The registry of its key; null for a key of the whole organization' }),
    state: z.enum(SENSOR_STATES).openapi({
      description: 'offline after 2 minutes of silence; disabled when somebody disabled it',
    }),
    currentJob: z
      .strictObject({ scanId: z.string() })
      .nullable()
      .openapi({ description: 'The scan that it works on, the first of several' }),
    currentScanIds: z.array(z.string()).openapi({ description: 'Every scan that it works on' }),
    lastHeartbeatAt: instant('When it was last heard of'),
    registeredAt: instant('When it registered last'),
    disabledAt: instant('When it was disabled; null while it is not').nullable(),
  })
  .openapi('Sensor')

export const RemovedSensor = z
  .strictObject({ id: z.string(), deleted: z.literal(true) })
  .openapi('RemovedSensor')
