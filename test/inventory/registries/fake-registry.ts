import { sha256HexOfBytes } from '../../../src/crypto/tokens.ts'
import type { RegistryConnection } from '../../../src/inventory/registries/providers/provider.ts'
import { bindSafeFetch, type Transport } from '../../../src/net/safe-fetch.ts'

export const REGISTRY = 'https://registry.example.com'
export const REALM = 'https://auth.example.com/token'
export const USER = { username: 'ci', password: 'pässwörd' }

export type Answer = (request: Request) => Response | Promise<Response> | null

export interface FakeRegistry {
  auth: 'none' | 'basic' | 'bearer'
  realm: string
  /** Milliseconds since 1970, for tokens. */
  clock: number
  tokenSeconds: number | undefined
  /** Repositories that the account may pull; null for all. */
  allowed: string[] | null
  repositories: Map<string, Map<string, string>>
  blobs: Map<string, { type: string; bytes: Uint8Array<ArrayBuffer> }>
  /** How page links are printed. */
  link: (path: string) => string
  headSaysDigest: boolean
  /** Answers before everything else where it gives one. */
  intercept: Answer
  requests: { method: string; url: string; authorization: string | null }[]
  tokens: Map<string, { scope: string; until: number }>
  transport: Transport
}

/** A registry that speaks distribution's HTTP, with its error bodies; `intercept` bends it. */
export function aRegistry(changes: Partial<FakeRegistry> = {}): FakeRegistry {
  const registry: FakeRegistry = {
    auth: 'none',
    realm: REALM,
    clock: 1_700_000_000_000,
    tokenSeconds: 300,
    allowed: null,
    repositories: new Map(),
    blobs: new Map(),
    link: (path) => path,
    headSaysDigest: true,
    intercept: () => null,
    requests: [],
    tokens: new Map(),
    transport: async (url, init) => {
      const request = new Request(url, { ...init, cache: undefined } as RequestInit)
      const authorization = request.headers.get('authorization')
      registry.requests.push({ method: request.method, url, authorization })
      return (await registry.intercept(request)) ?? answer(registry, request)
    },
    ...changes,
  }
  return registry
}

export const connectionTo = (
  registry: FakeRegistry,
  changes: Partial<RegistryConnection> = {},
): RegistryConnection => ({
  fetch: bindSafeFetch({ allowPrivateNetworks: false }, registry.transport),
  baseUrl: REGISTRY,
  insecure: false,
  credentials: null,
  now: () => registry.clock,
  ...changes,
})

/** Stores a document and gives its digest. */
export async function push(
  registry: FakeRegistry,
  document: unknown,
  { repository = 'team/app', tag, type = '' }: { repository?: string; tag?: string; type?: string } = {},
): Promise<string> {
  const bytes = new Uint8Array(new TextEncoder().encode(JSON.stringify(document)))
  const digest = `sha256:${await sha256HexOfBytes(bytes)}`
  registry.blobs.set(digest, { type, bytes })
  if (!registry.repositories.has(repository)) registry.repositories.set(repository, new Map())
  if (tag !== undefined) registry.repositories.get(repository)!.set(tag, digest)
  return digest
}

const problem = (status: number, code: string, headers: Record<string, string> = {}) =>
  Response.json({ errors: [{ code, message: `canary ${code}`, detail: 'canary' }] }, { status, headers })

function answer(registry: FakeRegistry, request: Request): Response {
  const url = new URL(request.url)
  if (url.href.startsWith(registry.realm)) return tokenReply(registry, request, url)
  if (url.origin !== REGISTRY) return new Response('another host', { status: 500 })
  const repository = /^\/v2\/(.+)\/(?:tags|manifests|blobs)\//.exec(url.pathname)?.[1]
  const scope = repository
    ? `repository:${repository}:pull`
    : url.pathname === '/v2/'
      ? ''
      : 'registry:catalog:*'
  const denied = refusal(registry, request, scope)
  if (denied !== null) return denied
  if (url.pathname === '/v2/') return Response.json({})
  if (url.pathname === '/v2/_catalog')
    return page(registry, url, 'repositories', [...registry.repositories.keys()])
  const tags = repository === undefined ? undefined : registry.repositories.get(repository)
  if (tags === undefined) return problem(404, 'NAME_UNKNOWN')
  if (url.pathname.endsWith('/tags/list')) return page(registry, url, 'tags', [...tags.keys()])
  return content(registry, request, tags, url.pathname.split('/').at(-1)!)
}

function content(
  registry: FakeRegistry,
  request: Request,
  tags: Map<string, string>,
  reference: string,
): Response {
  const digest = tags.get(reference) ?? reference
  const blob = registry.blobs.get(digest)
  if (blob === undefined) return problem(404, 'MANIFEST_UNKNOWN')
  const headers = new Headers({ 'content-type': blob.type })
  if (registry.headSaysDigest) headers.set('docker-content-digest', digest)
  return new Response(request.method === 'HEAD' ? null : blob.bytes, { headers })
}

function page(registry: FakeRegistry, url: URL, member: string, names: string[]): Response {
  const count = Math.min(Number(url.searchParams.get('n') ?? 100), 100)
  const start = names.indexOf(url.searchParams.get('last') ?? '') + 1
  const items = names.slice(start, start + count)
  const more = start + count < names.length
  const next = `${url.pathname}?last=${encodeURIComponent(items.at(-1) ?? '')}&n=${count}`
  return Response.json(
    { [member]: items },
    { headers: more ? { link: `<${registry.link(next)}>; rel="next"` } : {} },
  )
}

const basic = `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${USER.username}:${USER.password}`)))}`

function refusal(registry: FakeRegistry, request: Request, scope: string): Response | null {
  const authorization = request.headers.get('authorization')
  if (registry.auth === 'none') return null
  if (registry.auth === 'basic') {
    if (authorization === basic) return null
    return problem(401, 'UNAUTHORIZED', {
      'www-authenticate': 'Basic realm="Registry, Inc.", charset="UTF-8"',
    })
  }
  const token = registry.tokens.get(authorization?.replace('Bearer ', '') ?? '')
  if (token !== undefined && token.until > registry.clock && (scope === '' || token.scope === scope))
    return null
  const error =
    token === undefined ? '' : token.until > registry.clock ? 'insufficient_scope' : 'invalid_token'
  const wanted = scope === '' ? '' : `,scope="${scope}"`
  const challenge = `Bearer realm="${registry.realm}",service="registry.example.com"${wanted}${error && `,error="${error}"`}`
  return problem(401, 'UNAUTHORIZED', { 'www-authenticate': challenge })
}

function tokenReply(registry: FakeRegistry, request: Request, url: URL): Response {
  const authorization = request.headers.get('authorization')
  if (authorization !== null && authorization !== basic) return problem(401, 'UNAUTHORIZED')
  const scope = url.searchParams.get('scope') ?? ''
  const repository = /^repository:(.*):pull$/.exec(scope)?.[1]
  const granted =
    registry.allowed === null || repository === undefined || registry.allowed.includes(repository)
  const token = `token-${registry.tokens.size}-${authorization === null ? 'anonymous' : 'known'}`
  registry.tokens.set(token, {
    scope: granted ? scope : '',
    until: registry.clock + (registry.tokenSeconds ?? 60) * 1000,
  })
  return Response.json({ token, expires_in: registry.tokenSeconds })
}
