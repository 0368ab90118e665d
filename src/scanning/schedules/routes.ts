import { z } from '@hono/zod-openapi'
import { endpoint, role } from '../../http/endpoint.ts'
import { harborguard } from '../../http/faces.ts'
import { accepted } from '../../http/reply.ts'
import { scheduleScans } from './schedule-scans.ts'

const ScansScheduled = z
  .strictObject({
    registries: z
      .array(z.string())
      .openapi({ description: 'Ids of the registries', example: ['reg_4m8x1c7v0b2n5k9q3w6e'] }),
  })
  .openapi('ScansScheduled')

export const scheduleRoutes = [
  endpoint(
    harborguard,
    role('admin'),
    {
      method: 'post',
      path: '/api/registries/schedule-scans',
      operationId: 'scheduleScans',
      tags: ['Registries'],
      summary: 'Start the scheduled scans now',
      description:
        'Of every registry with a daily or weekly schedule. Tags with a scan in flight are left out.',
      responses: {
        202: { description: 'Started', schema: z.strictObject({ data: ScansScheduled }) },
      },
    },
    async (ctx) => accepted(await scheduleScans(ctx), '/api/scans?status=PENDING'),
  ),
]
