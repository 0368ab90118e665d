import { z } from '@hono/zod-openapi'
import { CreatedApiKey } from '../api-keys/index.ts'

export const CreateOrganization = z.strictObject({
  name: z.string().trim().min(1).max(100),
  slug: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a DNS label'),
  owner: z.strictObject({ email: z.email().max(254), name: z.string().trim().min(1).max(100) }),
  apiKeyName: z.string().trim().min(1).max(100).default('first admin key'),
})

export const CreatedOrganization = z.strictObject({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  createdAt: z.iso.datetime(),
  owner: z.strictObject({ email: z.string(), name: z.string() }),
  apiKey: CreatedApiKey,
})

export const RenewKeys = z.strictObject({
  after: z.int().min(0).default(0),
  replaceUnreadable: z.boolean().default(false),
})

export const RenewedKeys = z.strictObject({
  rewrapped: z.number(),
  replaced: z.number(),
  kept: z.number(),
  unreadable: z.number(),
  next: z.number().nullable(),
})
