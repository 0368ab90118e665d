import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { listOf, listQuery } from '../../http/page-schemas.ts'
import { accepted, created, data, list } from '../../http/reply.ts'
import { createRegistry } from './create.ts'
import { deleteRegistry } from './delete.ts'
import { listRegistries, REGISTRY_LIST, readRegistry } from './read.ts'
import {
  ConnectionResult,
  CreateRegistry,
  DeletedRegistry,
  Registry,
  RegistryParams,
  RegistryWithKey,
  SensorStatus,
  SyncStarted,
  TestConnection,
  UpdateRegistry,
} from './schemas.ts'
import { readSensorStatus } from './sensor-status.ts'
import { startSync } from './start-sync.ts'
import { testConnection } from './test-connection.ts'
import { updateRegistry } from './update.ts'

const registryPath = (id: string) => `/api/registries/${id}`
const one = <Schema extends z.ZodType>(schema: Schema) => z.strictObject({ data: schema })
const tags = ['Registries']

export const registryRoutes = [
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/registries',
      operationId: 'listRegistries',
      tags,
      summary: 'List registries',
      description: 'Newest first. Credentials are never shown.',
      query: listQuery(REGISTRY_LIST, {}),
      responses: { 200: { description: 'One page', schema: listOf(Registry, 'RegistryPage') } },
    },
    async (ctx, { request }) => list(await listRegistries(ctx, request.url)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/registries',
      operationId: 'createRegistry',
      tags,
      summary: 'Connect a registry',
      description:
        'Its catalogue is read at once in the background; nothing is scanned by that. With `scanMethod: sensor` the reply holds the key of its sensor, which is never shown again.',
      body: CreateRegistry,
      idempotency: {
        store: 'shard',
        asksFirst: (body) => (body as CreateRegistry).scanMethod === 'sensor',
        present: async (ctx, id) => created(await readRegistry(ctx, id), registryPath(id)),
      },
      responses: { 201: { description: 'Connected', schema: one(RegistryWithKey) } },
      problems: ['SERVICE_UNAVAILABLE'],
    },
    async (ctx, { body }) => {
      const registry = await createRegistry(ctx, body)
      return created(registry, registryPath(registry.id))
    },
  ),
  endpoint(
    harborguard,
    role('developer'),
    {
      method: 'post',
      path: '/api/registries/test-connection',
      operationId: 'testConnection',
      tags,
      summary: 'Try an address and credentials',
      description:
        'Stores nothing and never uses stored credentials. A registry that refuses is a 200 with `ok: false` and the reason.',
      body: TestConnection,
      rateLimit: { requests: 30, windowSeconds: 60 },
      responses: { 200: { description: 'What the registry said', schema: one(ConnectionResult) } },
    },
    async (ctx, { body }) => data(await testConnection(ctx, body)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/registries/{registryId}',
      operationId: 'getRegistry',
      tags,
      summary: 'Get a registry',
      params: RegistryParams,
      responses: { 200: { description: 'The registry', schema: one(Registry) } },
    },
    async (ctx, { params }) => data(await readRegistry(ctx, params.registryId)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'put',
      path: '/api/registries/{registryId}',
      operationId: 'updateRegistry',
      tags,
      summary: 'Change a registry',
      description:
        'What is absent stays. Another address or `insecure` needs the credentials again. A change of the method to `sensor` gives the key of its sensor, once.',
      params: RegistryParams,
      body: UpdateRegistry,
      responses: { 200: { description: 'Changed', schema: one(RegistryWithKey) } },
      problems: ['CONFLICT', 'SERVICE_UNAVAILABLE'],
    },
    async (ctx, { params, body }) => data(await updateRegistry(ctx, params.registryId, body)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'delete',
      path: '/api/registries/{registryId}',
      operationId: 'deleteRegistry',
      tags,
      summary: 'Disconnect a registry',
      description:
        'Credentials and sensor keys are gone at once and its running scans are cancelled; images, findings and scans are removed in the background.',
      params: RegistryParams,
      responses: { 200: { description: 'Disconnected', schema: one(DeletedRegistry) } },
    },
    async (ctx, { params }) => data(await deleteRegistry(ctx, params.registryId)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/registries/{registryId}/sync',
      operationId: 'syncRegistry',
      tags,
      summary: 'Read the catalogue now',
      description: 'One sync of a registry runs at a time: while it does, the reply names that one.',
      params: RegistryParams,
      responses: { 202: { description: 'Queued or running', schema: one(SyncStarted) } },
      problems: ['CONFLICT'],
    },
    async (ctx, { params }) =>
      accepted(await startSync(ctx, params.registryId), registryPath(params.registryId)),
  ),
  endpoint(
    harborguard,
    role('viewer'),
    {
      method: 'get',
      path: '/api/registries/{registryId}/sensor-status',
      operationId: 'getSensorStatus',
      tags,
      summary: "Whether the registry's sensor is there",
      params: RegistryParams,
      responses: { 200: { description: 'The sensor', schema: one(SensorStatus) } },
    },
    async (ctx, { params }) => data(await readSensorStatus(ctx, params.registryId)),
  ),
]
