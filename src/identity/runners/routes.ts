import { z } from '@hono/zod-openapi'
import { endpoint, operators } from '../../http/endpoint.ts'
import { operator } from '../../http/faces.ts'
import { created } from '../../http/reply.ts'
import { createCloudRunner } from './create.ts'

const CreateRunner = z.strictObject({ name: z.string().trim().min(1).max(100) })
const CreatedRunner = z.strictObject({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  createdAt: z.iso.datetime(),
  key: z.string(),
})

export const runnerRoutes = [
  endpoint(
    operator,
    operators,
    {
      method: 'post',
      path: '/operator/runners',
      operationId: 'createCloudRunner',
      tags: ['Operator'],
      summary: 'Create the credential of a cloud runner',
      body: CreateRunner,
      responses: { 201: { description: 'Created', schema: z.object({ data: CreatedRunner }) } },
    },
    async (ctx, { body }) => {
      const runner = await createCloudRunner(ctx, body)
      return created(runner, `/operator/runners/${runner.id}`)
    },
  ),
]
