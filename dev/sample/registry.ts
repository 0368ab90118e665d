import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServedRepository } from './registry/layout-content.ts'
import { listPage } from './registry/list-page.ts'
import { type RegistryAuth, RegistryGuard } from './registry/registry-auth.ts'
import {
  answerWithFault,
  faultApplies,
  type RegistryFault,
  type RequestKind,
} from './registry/registry-fault.ts'
import { refuse, sendBlob, sendJson, sendManifest } from './registry/send-content.ts'

const MAX_RECORDED_REQUESTS = 10_000

export interface SampleRegistryOptions {
  /** Repository name (`team/app`) to what it serves. */
  repositories: Readonly<Record<string, ServedRepository>>
  /** A free port unless given. */
  port?: number
  auth?: RegistryAuth
}

interface RecordedRequest {
  method: string
  /** Path and query. */
  path: string
  /** The scheme of the Authorization header, lower case; never its value. */
  authorization: string | null
}

export interface SampleRegistry {
  /** `http://127.0.0.1:PORT` */
  url: string
  /** `127.0.0.1:PORT`, as image references name it. */
  host: string
  /** What came in so far, oldest first. */
  requests: RecordedRequest[]
  /** Makes the registry fail from the next request on; null heals it. */
  setFault(fault: RegistryFault | null): void
  close(): Promise<void>
}

interface Route {
  kind: RequestKind
  /** What a Bearer token must be for; null for `/v2/`. */
  scope: string | null
  answer(response: ServerResponse, fault: RegistryFault | null): void | Promise<void>
}

/**
 * Serves OCI layouts as a read-only registry on loopback: `/v2/`, catalogue, tag lists, manifests by tag and digest,
 * blobs, with GET and HEAD. Rejects when the port is taken.
 */
export async function serveLayouts(options: SampleRegistryOptions): Promise<SampleRegistry> {
  const guard = new RegistryGuard(options.auth ?? null)
  const requests: RecordedRequest[] = []
  let fault: RegistryFault | null = null
  let faultsLeft = 0
  const takeFault = (kind: RequestKind) => {
    if (!fault || faultsLeft === 0 || !faultApplies(fault, kind)) return null
    faultsLeft -= 1
    return fault
  }
  const server = createServer((request, response) => {
    const authorization = request.headers.authorization?.split(' ')[0]?.toLowerCase() ?? null
    if (requests.length < MAX_RECORDED_REQUESTS) {
      requests.push({ method: request.method ?? '', path: request.url ?? '', authorization })
    }
    answer(options, guard, takeFault, request, response).catch(() => response.destroy())
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: `http://${host}`,
    host,
    requests,
    setFault(next) {
      fault = next
      faultsLeft = next?.times ?? Number.POSITIVE_INFINITY
    },
    async close() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    },
  }
}

async function answer(
  options: SampleRegistryOptions,
  guard: RegistryGuard,
  takeFault: (kind: RequestKind) => RegistryFault | null,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://registry.invalid')
  const route = findRoute(options.repositories, url)
  const fault = takeFault(route?.kind ?? 'other')
  if (fault?.kind === 'slow') await delay(fault.delayMs)
  if (fault && answerWithFault(fault, response, request.url ?? '/')) return
  response.setHeader('docker-distribution-api-version', 'registry/2.0')
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405, 'UNSUPPORTED')
  if (url.pathname === '/token') return guard.answerToken(request, response, url.searchParams)
  if (!guard.admit(request, response, route?.scope ?? null)) return
  if (!route) return refuse(response, 404, 'NAME_UNKNOWN')
  await route.answer(response, fault)
}

/** The route of an address, or null where no repository or endpoint has it. */
function findRoute(repositories: SampleRegistryOptions['repositories'], url: URL): Route | null {
  if (url.pathname === '/v2/' || url.pathname === '/v2') {
    return { kind: 'other', scope: null, answer: (response) => sendJson(response, {}) }
  }
  if (url.pathname === '/v2/_catalog') {
    const { items, link } = listPage(Object.keys(repositories), url.pathname, url.searchParams)
    const send = (response: ServerResponse) => sendJson(response, { repositories: items }, link)
    return { kind: 'other', scope: 'registry:catalog:*', answer: send }
  }
  const match = /^\/v2\/(.+)\/(tags|manifests|blobs)\/([^/]+)$/.exec(url.pathname)
  const [, name = '', endpoint, reference = ''] = match ?? []
  if (!Object.hasOwn(repositories, name)) return null
  const repository = repositories[name]!
  const scope = `repository:${name}:pull`
  if (endpoint === 'tags') {
    if (reference !== 'list') return null
    const { items, link } = listPage(Object.keys(repository.tags), url.pathname, url.searchParams)
    return { kind: 'other', scope, answer: (response) => sendJson(response, { name, tags: items }, link) }
  }
  return endpoint === 'manifests'
    ? {
        kind: 'manifests',
        scope,
        answer: (response, fault) => sendManifest(response, repository, reference, fault),
      }
    : { kind: 'blobs', scope, answer: (response, fault) => sendBlob(response, repository, reference, fault) }
}
