import { z } from '@hono/zod-openapi'
import type { BaseContext } from '../../context.ts'
import { anyone, endpoint, operators } from '../../http/endpoint.ts'
import { harborguard, operator } from '../../http/faces.ts'
import { bare, data } from '../../http/reply.ts'
import { assess, type State } from './assess.ts'
import { gatherFacts } from './facts.ts'
import { presentStatus } from './present.ts'
import { sharedState } from './public-state.ts'
import { OperatorStatus, PublicStatus } from './schemas.ts'

const look = ({ env, now, directory }: BaseContext) => gatherFacts(env, now, directory.meter)
const publicState = sharedState(async (ctx: BaseContext) => assess(await look(ctx)).state)

const RETRY_AFTER = { 'Retry-After': '10' } // seconds that a state is told again
const told = (state: State) =>
  state === 'down' ? bare(503, { status: state }, RETRY_AFTER) : bare(200, { status: state })

export const statusRoutes = [
  endpoint(
    harborguard,
    anyone,
    {
      method: 'get',
      path: '/api/status',
      operationId: 'getStatus',
      tags: ['Service'],
      summary: 'Whether the service works as a whole',
      description:
        'Needs no credential and tells nothing of any organization. A state is up to 10 seconds old.',
      responses: {
        200: { description: 'It answers: ok or degraded', schema: PublicStatus },
        503: {
          description: 'It does not work: down',
          schema: PublicStatus,
          headers: { 'Retry-After': 'Seconds to wait' },
        },
      },
    },
    async (ctx) => told(await publicState(ctx)),
  ),
  endpoint(
    operator,
    operators,
    {
      method: 'get',
      path: '/operator/status',
      operationId: 'getOperatorStatus',
      tags: ['Operator'],
      summary: 'The state of the service with its reasons and what they rest on',
      responses: { 200: { description: 'One look', schema: z.object({ data: OperatorStatus }) } },
    },
    async (ctx) => data(presentStatus(await look(ctx))),
  ),
]
