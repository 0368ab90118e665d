import { z } from '@hono/zod-openapi'

/** User name and password (or token) of the v2 protocol. A colon would end the user name in Basic authentication. */
export const UsernamePassword = z
  .strictObject({
    username: z
      .string()
      .min(1)
      .max(256)
      .regex(/^[^:\x00-\x1f\x7f]+$/)
      .describe('User name at the registry; no colon')
      .openapi({ example: 'ci-reader' }),
    password: z
      .string()
      .min(1)
      .max(8192)
      .describe('Password or access token; stored encrypted and never returned')
      .openapi({ example: 'correct-horse-battery-staple' }),
  })
  .openapi('UsernamePassword')
export type UsernamePassword = z.infer<typeof UsernamePassword>

/** Credentials of every implemented provider. */
export type RegistryCredentials = UsernamePassword
