import { z } from '@hono/zod-openapi'
import { endpoint, operators } from '../../http/endpoint.ts'
import { operator } from '../../http/faces.ts'
import { created, data } from '../../http/reply.ts'
import { createOrganization } from './create.ts'
import { renewOrganizationKeys } from './renew-keys.ts'
import { CreatedOrganization, CreateOrganization, RenewedKeys, RenewKeys } from './schemas.ts'

export const organizationRoutes = [
  endpoint(
    operator,
    operators,
    {
      method: 'post',
      path: '/operator/organizations',
      operationId: 'createOrganization',
      tags: ['Operator'],
      summary: 'Create an organization with its owner and first admin key',
      body: CreateOrganization,
      responses: { 201: { description: 'Created', schema: z.object({ data: CreatedOrganization }) } },
      problems: ['CONFLICT'],
    },
    async (ctx, { body }) => {
      const organization = await createOrganization(ctx, body)
      return created(organization, `/operator/organizations/${organization.id}`)
    },
  ),
  endpoint(
    operator,
    operators,
    {
      method: 'post',
      path: '/operator/organization-keys/renew',
      operationId: 'renewOrganizationKeys',
      tags: ['Operator'],
      summary: 'Wrap organization keys under the active root key, in slices',
      body: RenewKeys,
      responses: { 200: { description: 'One slice', schema: z.object({ data: RenewedKeys }) } },
      problems: ['SERVICE_UNAVAILABLE'],
    },
    async (ctx, { body }) => data(await renewOrganizationKeys(ctx, body)),
  ),
]
