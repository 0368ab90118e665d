import { z } from '@hono/zod-openapi'
import { endpoint, operators } from '../../http/endpoint.ts'
import { operator } from '../../http/faces.ts'
import { bare, data } from '../../http/reply.ts'
import { listDeadLetters } from './list.ts'
import { replayDeadLetter, replayDeadLetters } from './replay.ts'
import {
  DeadLetter,
  DeadLetterPage,
  DeadLetterQuery,
  LetterParams,
  Replayed,
  ReplayRequest,
} from './schemas.ts'

const tags = ['Operator']

export const deadLetterRoutes = [
  endpoint(
    operator,
    operators,
    {
      method: 'get',
      path: '/operator/dead-letters',
      operationId: 'listDeadLetters',
      tags,
      summary: 'Messages that failed at every attempt, the newest first',
      query: DeadLetterQuery,
      responses: {
        200: { description: 'A page; `meta.next` continues it as `after`', schema: DeadLetterPage },
      },
    },
    async (ctx, { query }) => bare(200, await listDeadLetters(ctx, query)),
  ),
  endpoint(
    operator,
    operators,
    {
      method: 'post',
      path: '/operator/dead-letters/{id}/replay',
      operationId: 'replayDeadLetter',
      tags,
      summary: 'Give one message to the queue again',
      params: LetterParams,
      responses: { 200: { description: 'It was given', schema: z.object({ data: DeadLetter }) } },
    },
    async (ctx, { params }) => data(await replayDeadLetter(ctx, params.id)),
  ),
  endpoint(
    operator,
    operators,
    {
      method: 'post',
      path: '/operator/dead-letters/replay',
      operationId: 'replayDeadLetters',
      tags,
      summary: 'Give waiting messages of one kind to the queue again',
      body: ReplayRequest,
      responses: { 200: { description: 'How many were given', schema: z.object({ data: Replayed }) } },
    },
    async (ctx, { body }) => data(await replayDeadLetters(ctx, body)),
  ),
]
