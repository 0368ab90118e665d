import { z } from '@hono/zod-openapi'
import { KEY_ROLES } from '../../auth/roles.ts'

export const KeyParams = z.object({
  keyId: z.string().max(64).openapi({ description: 'Id of the key', example: 'key_7m2k9q4x0v8b3n5t1r6w' }),
})

export const CreateApiKey = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .openapi({ description: 'What the key is for', example: 'GitHub Actions' }),
    role: z
      .enum(KEY_ROLES)
      .default('ci')
      .openapi({ description: "Role of the key, at most the creator's; fixed at creation", example: 'ci' }),
    expiresAt: z.iso.datetime({ offset: true }).nullable().optional().openapi({
      description: 'When the key stops working; never when absent',
      example: '2027-06-30T00:00:00.000Z',
    }),
  })
  .openapi('CreateApiKey')

export const ApiKey = z
  .strictObject({
    id: z.string().openapi({ description: 'Id of the key', example: 'key_7m2k9q4x0v8b3n5t1r6w' }),
    name: z.string().openapi({ description: 'What the key is for', example: 'GitHub Actions' }),
    prefix: z
      .string()
      .openapi({ description: 'First 10 characters of the key, not secret', example: 'hg_ak_1f3c' }),
    role: z.enum(KEY_ROLES).openapi({ description: 'Role of the key', example: 'ci' }),
    registryId: z
      .string()
      .nullable()
      .openapi({ description: 'Registry that a sensor key is bound to', example: null }),
    createdAt: z.iso
      .datetime()
      .openapi({ description: 'When it was created', example: '2026-11-20T09:30:00.000Z' }),
    expiresAt: z.iso.datetime().nullable().openapi({ description: 'When it stops working', example: null }),
    lastUsedAt: z.iso
      .datetime()
      .nullable()
      .openapi({ description: 'Last use, exact to the hour', example: '2026-11-20T10:00:00.000Z' }),
  })
  .openapi('ApiKey')

export const CreatedApiKey = z
  .strictObject({
    ...ApiKey.shape,
    key: z
      .string()
      .optional()
      .openapi({ description: 'The whole key, only in the reply that created it', example: 'hg_ak_1f3c…' }),
  })
  .openapi('CreatedApiKey')
