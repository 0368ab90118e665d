import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../../http/endpoint.ts'
import { harborguard } from '../../../http/faces.ts'
import { listOf, listQuery } from '../../../http/page-schemas.ts'
import { data, list } from '../../../http/reply.ts'
import { listSensors, readSensor, SENSOR_LIST } from './read.ts'
import { removeSensor } from './remove.ts'
import { RemovedSensor, Sensor, SensorParams } from './schemas.ts'
import { setEnabled } from './set-enabled.ts'

const tags = ['Sensors']
const one = <Schema extends z.ZodType>(schema: Schema) => z.strictObject({ data: schema })

export const sensorRoutes = [
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/sensors',
      operationId: 'listSensors',
      tags,
      summary: 'List sensors',
      description: 'The processes that registered with a key of the organization, and what they work on.',
      query: listQuery(SENSOR_LIST, {
        search: { description: 'Part of the name or host name', example: 'eu' },
        registryId: { description: 'Sensors of one registry', example: 'reg_4m8x1c7v0b2n5k9q3w6e' },
      }),
      responses: { 200: { description: 'One page', schema: listOf(Sensor, 'SensorPage') } },
    },
    async (ctx, { request }) => list(await listSensors(ctx, request.url)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/sensors/{sensorId}',
      operationId: 'getSensor',
      tags,
      summary: 'Get a sensor',
      params: SensorParams,
      responses: { 200: { description: 'The sensor', schema: one(Sensor) } },
    },
    async (ctx, { params }) => data(await readSensor(ctx, params.sensorId)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/sensors/{sensorId}/disable',
      operationId: 'disableSensor',
      tags,
      summary: 'Give a sensor no more jobs',
      description: 'It stays disabled when it registers again. What it works on it may finish and upload.',
      params: SensorParams,
      responses: { 200: { description: 'Disabled', schema: one(Sensor) } },
    },
    async (ctx, { params }) => data(await setEnabled(ctx, params.sensorId, false)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/sensors/{sensorId}/enable',
      operationId: 'enableSensor',
      tags,
      summary: 'Give a disabled sensor jobs again',
      params: SensorParams,
      responses: { 200: { description: 'Enabled', schema: one(Sensor) } },
    },
    async (ctx, { params }) => data(await setEnabled(ctx, params.sensorId, true)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'delete',
      path: '/api/sensors/{sensorId}',
      operationId: 'removeSensor',
      tags,
      summary: 'Remove a sensor',
      description:
        'One that still runs is there again at its next call: disable it or revoke its key to keep it out.',
      params: SensorParams,
      responses: { 200: { description: 'Removed', schema: one(RemovedSensor) } },
    },
    async (ctx, { params }) => data(await removeSensor(ctx, params.sensorId)),
  ),
]
