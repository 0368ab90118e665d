import { z } from '@hono/zod-openapi'

export const DeadLetter = z.strictObject({
  id: z.string(),
  kind: z.string(),
  organization: z.int(),
  ids: z.record(z.string(), z.unknown()),
  attempts: z.int(),
  error: z.string().nullable(),
  diedAt: z.iso.datetime(),
  replayedAt: z.iso.datetime().nullable(),
})

const Kind = z.string().regex(/^[a-z]+\.[a-z]+$/)

export const DeadLetterQuery = z.object({
  kind: Kind.optional(),
  limit: z
    .string()
    .regex(/^\d{1,3}$/)
    .default('50')
    .transform(Number)
    .pipe(z.int().min(1).max(200)),
  after: z
    .string()
    .regex(/^\d{1,15}-.{1,500}$/)
    .optional(),
})

export const DeadLetterPage = z.strictObject({
  data: z.array(DeadLetter),
  meta: z.strictObject({ next: z.string().nullable() }),
})

export const LetterParams = z.object({ id: z.string().max(500) })

export const ReplayRequest = z.strictObject({ kind: Kind, limit: z.int().min(1).max(100).default(100) })

export const Replayed = z.strictObject({ replayed: z.int(), more: z.boolean() })
