import { z } from '@hono/zod-openapi'
import { anyone, endpoint } from './endpoint.ts'
import { harborguard } from './faces.ts'
import { data } from './reply.ts'

const Health = z.strictObject({ status: z.literal('ok') }).openapi('Health')

/** What needs no credential and touches no database. */
export const documentRoutes = [
  endpoint(
    harborguard,
    anyone,
    {
      method: 'get',
      path: '/api/health',
      operationId: 'getHealth',
      tags: ['Service'],
      summary: 'Whether the API answers',
      responses: { 200: { description: 'It does', schema: z.strictObject({ data: Health }) } },
    },
    () => data({ status: 'ok' }),
  ),
]
