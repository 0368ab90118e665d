import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { listOf, listQuery } from '../../http/page-schemas.ts'
import { created, list, noContent } from '../../http/reply.ts'
import { createApiKey } from './create.ts'
import { KEY_LIST, listApiKeys, readApiKey } from './read.ts'
import { revokeApiKey } from './revoke.ts'
import { ApiKey, CreateApiKey, CreatedApiKey, KeyParams } from './schemas.ts'

const keyPath = (id: string) => `/api/api-keys/${id}`

export const apiKeyRoutes = [
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'get',
      path: '/api/api-keys',
      operationId: 'listApiKeys',
      tags: ['API keys'],
      summary: 'List API keys',
      description: 'Newest first. Keys are known by their first ten characters; revoked ones are gone.',
      query: listQuery(KEY_LIST, {}),
      responses: { 200: { description: 'One page', schema: listOf(ApiKey, 'ApiKeyPage') } },
    },
    async (ctx, { request }) => list(await listApiKeys(ctx, request.url)),
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/api-keys',
      operationId: 'createApiKey',
      tags: ['API keys'],
      summary: 'Create an API key',
      description: 'The key is in the reply and is never shown again.',
      body: CreateApiKey,
      rateLimit: { requests: 10, windowSeconds: 60 },
      idempotency: {
        store: 'directory',
        present: async (ctx, id) => created(await readApiKey(ctx, id), keyPath(id)),
      },
      responses: { 201: { description: 'Created', schema: z.strictObject({ data: CreatedApiKey }) } },
    },
    async (ctx, { body }) => {
      const key = await createApiKey(ctx, body)
      return created(key, keyPath(key.id))
    },
  ),
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'delete',
      path: '/api/api-keys/{keyId}',
      operationId: 'revokeApiKey',
      tags: ['API keys'],
      summary: 'Revoke an API key',
      description: 'It fails from the next request on.',
      params: KeyParams,
      responses: { 204: { description: 'Revoked' } },
    },
    async (ctx, { params }) => {
      await revokeApiKey(ctx, params.keyId)
      return noContent()
    },
  ),
]
