import { Hono as HonoApp, type Context as HonoContext } from 'hono'
import { SecretsUnavailable } from './crypto/root-keys.ts'
import { causeOf } from './db/database.ts'
import { StorageUnavailable } from './db/storage-unavailable.ts'
import { documentRoutes } from './http/document.ts'
import type { Endpoint } from './http/endpoint.ts'
import { agent, harborguard } from './http/faces.ts'
import { meantPath } from './http/path.ts'
import { Problem, problem } from './http/problems.ts'
import { logRequest, newTrail } from './http/request-log.ts'
import { baseContext, type Hono, serve } from './http/serve.ts'
import { apiKeyRoutes } from './identity/api-keys/index.ts'
import { organizationRoutes } from './identity/organizations/index.ts'
import { runnerRoutes } from './identity/runners/index.ts'
import { imageRoutes } from './inventory/images/index.ts'
import { registryRoutes } from './inventory/registries/index.ts'
import { deadLetterRoutes } from './operations/dead-letters/index.ts'
import { statusRoutes } from './operations/status/index.ts'
import { vulnerabilityRoutes } from './risk/vulnerabilities/index.ts'
import { scanRoutes } from './scanning/scans/index.ts'
import { scheduleRoutes } from './scanning/schedules/index.ts'
import { agentRoutes, sensorRoutes } from './scanning/sensors/index.ts'

/** Every operation of the Worker. One line a feature. */
export const endpoints: Endpoint[] = [
  ...documentRoutes,
  ...statusRoutes,
  ...deadLetterRoutes,
  ...organizationRoutes,
  ...runnerRoutes,
  ...apiKeyRoutes,
  ...registryRoutes,
  ...imageRoutes,
  ...vulnerabilityRoutes,
  ...scanRoutes,
  ...scheduleRoutes,
  ...sensorRoutes,
  ...agentRoutes,
]

const pathOf = (request: Request): string => meantPath(new URL(request.url).pathname)

export function createApp() {
  const app = new HonoApp<Hono>({ getPath: pathOf })
  app.use(async (c, next) => {
    const base = baseContext(c)
    const trail = newTrail()
    c.set('base', base)
    c.set('trail', trail)
    await next()
    const headers = mutableHeaders(c)
    for (const [name, value] of Object.entries(trail.headers)) headers.set(name, value)
    headers.set('X-Request-Id', base.requestId)
    headers.set('X-Content-Type-Options', 'nosniff')
    if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store')
    if (c.env.EXPOSE_D1_METER === 'true') {
      const { roundTrips, rowsRead, rowsWritten } = base.directory.meter
      const d1 = `d1;desc="trips=${roundTrips} read=${rowsRead} written=${rowsWritten}"`
      headers.set('Server-Timing', `${d1}, app;dur=${Date.now() - base.now}`)
    }
    logRequest(base, trail, c.req.method, c.res.status, c.error)
  })
  for (const endpoint of endpoints) {
    app.on(endpoint.route.method.toUpperCase(), honoPath(endpoint.route.path), (c) => serve(endpoint, c))
  }
  app.notFound((c) => printProblem(c, unknownRoute(pathOf(c.req.raw))))
  app.onError((error, c) => printProblem(c, toProblem(causeOf(error), c)))
  return app
}

/** The reply's own headers: each `c.header` would make a new reply around its body. What a binding fetched is copied. */
function mutableHeaders(c: HonoContext<Hono>): Headers {
  try {
    c.res.headers.delete('X-Request-Id')
  } catch {
    c.res = new Response(c.res.body, c.res)
  }
  return c.res.headers
}

const honoPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1')

/** 405 with `Allow` where the path exists with other methods; operator paths never admit that they exist. */
function unknownRoute(path: string): Problem {
  const found = endpoints.filter(({ face, route }) => !face.hidden && matches(route.path, path))
  if (found.length === 0) return problem('NOT_FOUND', 'Route not found')
  const isLiteral = found.some(({ route }) => route.path === path)
  const methods = found
    .filter(({ route }) => !isLiteral || route.path === path)
    .map(({ route }) => route.method.toUpperCase())
  return problem('METHOD_NOT_ALLOWED', undefined, { headers: { Allow: [...new Set(methods)].join(', ') } })
}

const matches = (template: string, path: string): boolean =>
  new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(path)

function toProblem(error: Error, c: HonoContext<Hono>): Problem {
  if (error instanceof Problem) return error
  const retry = { headers: { 'Retry-After': '5' } }
  if (error instanceof SecretsUnavailable)
    return problem('SERVICE_UNAVAILABLE', 'Secrets are not available', retry)
  if (error instanceof StorageUnavailable) return problem('SERVICE_UNAVAILABLE', undefined, retry)
  return problem('INTERNAL_ERROR', `Something went wrong on our side (request ${c.get('base')?.requestId})`)
}

function printProblem(c: HonoContext<Hono>, error: Problem): Response {
  const path = pathOf(c.req.raw)
  const face = path.startsWith('/api/agent/') || path === '/api/scans/upload' ? agent : harborguard
  for (const [name, value] of Object.entries(error.headers)) c.header(name, value)
  if (error.code === 'UNAUTHORIZED') c.header('WWW-Authenticate', 'Bearer')
  return c.json(face.printProblem(error) as object, error.status)
}
