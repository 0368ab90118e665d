import { endpoints } from '../../src/app.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { AgentProblemBody, ProblemBody, problemsByStatus } from '../../src/http/openapi.ts'

/** The operation that answers this path, the most literal one first; null where there is none. */
export function endpointOf(method: string, url: string): Endpoint | null {
  const path = new URL(url.startsWith('/') ? `https://x${url}` : url).pathname
    .replace(/\/{2,}/g, '/')
    .replace(/(.)\/$/, '$1')
  const found = endpoints.filter(
    ({ route }) =>
      route.method.toUpperCase() === (method === 'HEAD' ? 'GET' : method) && matches(route.path, path),
  )
  return found.sort((a, b) => parameters(a) - parameters(b))[0] ?? null
}

const parameters = ({ route }: Endpoint): number => route.path.split('{').length

const matches = (template: string, path: string): boolean =>
  new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '[^/]+')}$`).test(path)

/** Why a reply is not what the OpenAPI document says of its operation; null when it is. */
export function undocumented(method: string, url: string, status: number, body: unknown): string | null {
  const endpoint = endpointOf(method, url)
  if (!endpoint) return status === 404 || status === 405 ? null : `${status} from a path that nobody declared`
  if (status === 405) return null
  const contract = endpoint.route.responses[status]
  const isProblem = !contract && problemsByStatus(endpoint).has(status)
  if (!contract && !isProblem) {
    // an operator route that does not admit to exist, and a server without its secrets
    const hidden = endpoint.access.kind === 'operator' && status === 404
    return hidden || status === 503 ? null : `${endpoint.route.operationId} does not document ${status}`
  }
  const schema = contract ? contract.schema : endpoint.face.name === 'agent' ? AgentProblemBody : ProblemBody
  if (!schema || body === null || contract?.mediaTypes) return null
  const parsed = schema.safeParse(body)
  return parsed.success
    ? null
    : `${endpoint.route.operationId} ${status}: ${JSON.stringify(parsed.error.issues).slice(0, 1000)}`
}
