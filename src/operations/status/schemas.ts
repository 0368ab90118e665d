import { z } from '@hono/zod-openapi'

const State = z.enum(['ok', 'degraded', 'down'])
const Time = z.iso.datetime().nullable()

export const PublicStatus = z
  .strictObject({
    status: State.openapi({
      description: 'ok; degraded: it answers, but scans or some organizations wait; down: it does not work',
      example: 'ok',
    }),
  })
  .openapi('Status')

const Database = { name: z.string(), reachable: z.boolean(), ms: z.number(), error: z.string().nullable() }
const Backlog = z.strictObject({ count: z.number(), isAtLeast: z.boolean(), oldestAt: Time })

export const OperatorStatus = z.strictObject({
  status: State,
  checkedAt: z.iso.datetime(),
  reasons: z.array(
    z.strictObject({
      code: z.string(),
      severity: z.enum(['notice', 'degraded', 'down']),
      where: z.string(),
      message: z.string(),
    }),
  ),
  directory: z.strictObject(Database),
  runners: z
    .strictObject({ alive: z.number(), versions: z.record(z.string(), z.number()), lastHeartbeatAt: Time })
    .nullable(),
  cron: z
    .strictObject({ ranAt: Time, ms: z.number(), failures: z.number(), failed: z.array(z.string()) })
    .nullable(),
  shards: z.array(
    z.strictObject({
      ...Database,
      backlogs: z.record(z.string(), Backlog).nullable(),
      sensorQueues: z.array(z.strictObject({ pool: z.string(), oldestAt: Time })),
    }),
  ),
})
