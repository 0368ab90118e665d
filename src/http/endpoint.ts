import type { z } from '@hono/zod-openapi'
import type { Role } from '../auth/roles.ts'
import type { AgentContext, BaseContext, Context } from '../context.ts'
import type { Face } from './faces.ts'
import type { Replay } from './idempotency.ts'
import type { ProblemCode } from './problems.ts'
import type { RateLimitRule } from './rate-limit.ts'
import type { Reply } from './reply.ts'

/** Who may call. The security of the OpenAPI document and the check are both made from this value. */
export type Access =
  | { kind: 'public' }
  | { kind: 'role'; role: Role }
  | { kind: 'agent' }
  | { kind: 'operator' }

export const anyone = { kind: 'public' } as const satisfies Access
export const role = (minimum: Role) => ({ kind: 'role', role: minimum }) as const satisfies Access
export const runners = { kind: 'agent' } as const satisfies Access
export const operators = { kind: 'operator' } as const satisfies Access

type ContextOf<A extends Access> = A extends { kind: 'role' }
  ? Context
  : A extends { kind: 'agent' }
    ? AgentContext
    : BaseContext

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined

/** The contract of one operation. `operationId` is the verb; 4xx of access, body and path are added by themselves. */
export interface Route<P, Q, B> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** OpenAPI form: `/api/scans/{scanId}`. */
  path: `/${string}`
  operationId: string
  tags: string[]
  summary: string
  description?: string
  params?: P
  /** Unknown query parameters are ignored; lists say so in `meta.ignored`. */
  query?: Q
  /** Request headers, for the document: the handler reads them from `request`. */
  headers?: z.ZodObject
  /** JSON body. The routes that take a stream leave it out and read `request` themselves. */
  body?: B
  /** Above this the body is refused with PAYLOAD_TOO_LARGE; default 1 MB. */
  maxBodyBytes?: number
  rateLimit?: RateLimitRule
  /** POSTs that create: how a replay presents the resource again. Writes then call `ctx.rememberReply`. */
  idempotency?: Replay
  responses: Record<number, ResponseContract>
  problems?: ProblemCode[]
}

export interface ResponseContract {
  description: string
  schema?: z.ZodType
  /** For replies that are not JSON. */
  mediaTypes?: string[]
  headers?: Record<string, string>
}

export interface Input<P, Q, B> {
  params: Parsed<P>
  query: Parsed<Q>
  body: Parsed<B>
  /** The untouched request, for streams, conditional headers and the serialized query string. */
  request: Request
}

export interface Endpoint {
  face: Face
  access: Access
  route: Route<z.ZodType | undefined, z.ZodType | undefined, z.ZodType | undefined>
  handle(ctx: unknown, input: Input<undefined, undefined, undefined>): Promise<Reply | Response>
}

/**
 * One operation: face, access, contract and a handler of one expression. Input is validated before the handler
 * runs and access is checked before the input is looked at.
 */
export function endpoint<
  A extends Access,
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  face: Face,
  access: A,
  route: Route<P, Q, B>,
  handle: (ctx: ContextOf<A>, input: Input<P, Q, B>) => Promise<Reply | Response> | Reply | Response,
): Endpoint {
  return {
    face,
    access,
    route: route as unknown as Endpoint['route'],
    handle: async (ctx, input) => handle(ctx as ContextOf<A>, input as unknown as Input<P, Q, B>),
  }
}
