import { OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi'
import type { Endpoint, ResponseContract } from './endpoint.ts'
import { PROBLEMS, type ProblemCode, problem } from './problems.ts'

export const ProblemBody = z
  .strictObject({
    error: z.strictObject({
      code: z.string().openapi({ description: 'Stable code', example: 'VALIDATION_ERROR' }),
      message: z.string().openapi({ description: 'A sentence for people', example: 'image: Required' }),
      issues: z
        .array(z.strictObject({ path: z.string(), message: z.string() }))
        .optional()
        .openapi({ description: 'Each problem with its dotted path' }),
    }),
  })
  .openapi('Problem')

export const AgentProblemBody = z
  .strictObject({ error: z.string(), code: z.string() })
  .openapi('AgentProblem', { description: 'Problems of the runner routes' })

const DESCRIPTION = `Connects container registries, schedules scans, and answers what is vulnerable, where, since when,
and what was decided about it.`

/** Everything of the document that is not a path. */
const DOCUMENT = {
  openapi: '3.1.0',
  info: { title: 'HarborGuard API', version: '1.0.0', description: DESCRIPTION },
  servers: [{ url: '/' }],
}

/** The document of these operations. `npm run openapi` makes it; the Worker starts without. @public */
export function documentOf(endpoints: readonly Endpoint[]) {
  const app = new OpenAPIHono()
  registerSecurity(app)
  for (const endpoint of endpoints) if (!endpoint.face.hidden) registerPath(app, endpoint)
  return app.getOpenAPI31Document(DOCUMENT)
}

function registerSecurity(app: OpenAPIHono): void {
  const registry = app.openAPIRegistry
  registry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'hg_ak_…',
  })
  registry.registerComponent('securitySchemes', 'apiKey', { type: 'apiKey', in: 'header', name: 'X-API-Key' })
}

/** Adds one operation to the document, with every problem that its access, body and path make possible. */
function registerPath({ openAPIRegistry }: OpenAPIHono, { face, access, route }: Endpoint): void {
  const problemSchema = face.name === 'agent' ? AgentProblemBody : ProblemBody
  const responses: RouteConfig['responses'] = {}
  const limited = route.rateLimit ? RATE_LIMIT_HEADERS : {}
  for (const [status, contract] of Object.entries(route.responses)) {
    responses[status] = response({ ...contract, headers: { ...contract.headers, ...limited } })
  }
  for (const [status, codes] of problemsByStatus({ access, route })) {
    responses[status] ??= {
      description: codes.join(', '),
      content: {
        'application/json': { schema: problemSchema, example: face.printProblem(problem(codes[0]!)) },
      },
      ...(status === 429 && { headers: headersOf({ ...limited, 'Retry-After': 'Seconds to wait' }) }),
    }
  }
  openAPIRegistry.registerPath({
    method: route.method,
    path: route.path,
    operationId: route.operationId,
    tags: route.tags,
    summary: route.summary,
    ...(route.description && { description: route.description }),
    security: access.kind === 'public' ? [] : [{ bearer: [] }, { apiKey: [] }],
    ...(access.kind === 'role' && { 'x-required-role': access.role }),
    ...(access.kind === 'agent' && { 'x-required-role': 'runner' }),
    ...(route.rateLimit && { 'x-rate-limit': route.rateLimit }),
    request: {
      ...(route.params && { params: route.params as z.ZodObject }),
      ...(route.query && { query: route.query as z.ZodObject }),
      ...(route.headers && { headers: route.headers }),
      ...(route.idempotency && { headers: IdempotencyHeader }),
      ...(route.body && {
        body: { required: true, content: { 'application/json': { schema: route.body } } },
      }),
    },
    responses,
  })
}

const IdempotencyHeader = z.object({
  'Idempotency-Key': z
    .string()
    .max(255)
    .optional()
    .openapi({ description: 'The same key and body within 24 hours creates once', example: 'build-4711' }),
})

const RATE_LIMIT_HEADERS = {
  'X-RateLimit-Limit': 'Requests that a window takes',
  'X-RateLimit-Remaining': 'Requests that are left in it',
  'X-RateLimit-Reset': 'When the oldest leaves it, in seconds since 1970',
}

function response({ description, schema, mediaTypes, headers }: ResponseContract) {
  const types = mediaTypes ?? (schema ? ['application/json'] : [])
  return {
    description,
    ...(types.length > 0 && {
      content: Object.fromEntries(types.map((type) => [type, { schema: schema ?? z.unknown() }])),
    }),
    ...(headers && Object.keys(headers).length > 0 && { headers: headersOf(headers) }),
  }
}

const headersOf = (texts: Record<string, string>) =>
  z.object(
    Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, z.string().openapi({ description: text })]),
    ),
  )

export function problemsByStatus({
  access,
  route,
}: Pick<Endpoint, 'access' | 'route'>): Map<number, ProblemCode[]> {
  const codes = new Set<ProblemCode>(route.problems)
  if (access.kind !== 'public') codes.add('UNAUTHORIZED').add('FORBIDDEN')
  if (route.body)
    codes.add('BAD_REQUEST').add('VALIDATION_ERROR').add('PAYLOAD_TOO_LARGE').add('UNSUPPORTED_MEDIA_TYPE')
  if (route.query) codes.add('VALIDATION_ERROR')
  if (route.params) codes.add('VALIDATION_ERROR')
  if (route.params && access.kind !== 'agent') codes.add('NOT_FOUND') // a runner is told of a lost lease
  if (route.idempotency) codes.add('CONFLICT').add('VALIDATION_ERROR')
  if (route.rateLimit) codes.add('RATE_LIMITED')
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of codes) {
    const status = PROBLEMS[code][0]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return byStatus
}
