import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listPage } from '../../../dev/sample/registry/list-page.ts'
import type { FakeContent, FakeMode } from '../../fake-registry.ts'
import { type Document, documentsOf } from './content.ts'

const MODES: Record<FakeMode, true> = {
  open: true,
  basic: true,
  token: true,
  down: true,
  slow: true,
  html: true,
  limited: true,
  error: true,
  redirect: true,
  big: true,
  nocatalogue: true,
}

interface State {
  mode: FakeMode
  repositories: FakeContent
  requests: { method: string; path: string; authorization: string | null }[]
}

const DEFAULT_CONTENT: FakeContent = {
  'team/app': { '1.0': 'app-1.0', '1.1': 'app-1.1', latest: 'app-1.1' },
  'team/worker': { '2.0': { seed: 'worker', platforms: ['linux/arm64'], single: true } },
}
const USER = 'user'
const PASSWORD = 'pass'
const MAX_REQUESTS = 20_000

const states = new Map<string, State>()

/** `big` has 250 repositories with 3 tags each: more than a page of the catalogue. */
const bigContent = (): FakeContent =>
  Object.fromEntries(
    Array.from({ length: 250 }, (_, i) => {
      const tags = { latest: `big-${i}-2`, v1: `big-${i}-1`, v2: `big-${i}-2` }
      return [`team/repo-${String(i).padStart(3, '0')}`, tags]
    }),
  )

const isMode = (label: string | undefined): label is FakeMode =>
  label !== undefined && Object.hasOwn(MODES, label)

function stateOf(host: string): State | null {
  const label = host.replace(/:\d+$/, '').split('.').at(-3)
  if (!isMode(label) || !/\.registry\.test(:\d+)?$/.test(host)) return null
  const known = states.get(host)
  if (known) return known
  const fresh: State = {
    mode: label,
    repositories: label === 'big' ? bigContent() : DEFAULT_CONTENT,
    requests: [],
  }
  states.set(host, fresh)
  return fresh
}

/**
 * Answers every outgoing call of the Worker in tests. `*.MODE.registry.test` are registries of their own; a `PUT`
 * to `/fake` sets mode and content, a `GET` reads what was asked so far. Other hosts cannot be reached.
 */
export async function answerFakeRegistry(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const host = request.headers.host ?? ''
  const state = stateOf(host)
  if (!state) {
    response.destroy()
    return
  }
  const url = new URL(request.url ?? '/', `http://${host}`)
  if (url.pathname === '/fake') return control(state, request, response)
  const authorization = request.headers.authorization ?? null
  if (state.requests.length < MAX_REQUESTS) {
    state.requests.push({ method: request.method ?? '', path: url.pathname + url.search, authorization })
  }
  if (misbehaves(state.mode, response)) return
  if (url.pathname === '/token') {
    answerToken(host, url, authorization, response)
    return
  }
  if (!admits(state.mode, host, url, authorization, response)) return
  answerContent(state, url, request.method === 'HEAD', response)
}

async function control(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'PUT') {
    let text = ''
    for await (const chunk of request) text += chunk
    const { mode, repositories } = JSON.parse(text) as Partial<State>
    if (mode) state.mode = mode
    if (repositories) state.repositories = repositories
  }
  sendJson(response, 200, { mode: state.mode, repositories: state.repositories, requests: state.requests })
}

/** True when the answer is given already: nothing of the protocol is spoken in these modes. */
function misbehaves(mode: FakeMode, response: ServerResponse): boolean {
  switch (mode) {
    case 'down':
      response.destroy()
      return true
    case 'slow':
      return true
    case 'html':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Sign in</body></html>')
      return true
    case 'limited':
      response.writeHead(429, { 'retry-after': '30' }).end()
      return true
    case 'error':
      response.writeHead(503).end('upstream: secret-internal-detail')
      return true
    case 'redirect':
      response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end()
      return true
    default:
      return false
  }
}

const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`

const tokenFor = (host: string, scope: string): string =>
  createHash('sha256').update(`${host} ${scope}`).digest('hex')

function answerToken(
  host: string,
  url: URL,
  authorization: string | null,
  response: ServerResponse,
): ServerResponse {
  if (authorization !== basic) return refuse(response, 401, 'UNAUTHORIZED')
  return sendJson(response, 200, {
    token: tokenFor(host, url.searchParams.get('scope') ?? ''),
    expires_in: 300,
  })
}

function admits(
  mode: FakeMode,
  host: string,
  url: URL,
  authorization: string | null,
  response: ServerResponse,
): boolean {
  if (mode === 'basic' && authorization !== basic) {
    response.setHeader('www-authenticate', 'Basic realm="fake"')
    refuse(response, 401, 'UNAUTHORIZED')
    return false
  }
  if (mode !== 'token') return true
  const repository = /^\/v2\/(.+)\/(?:tags|manifests|blobs)\//.exec(url.pathname)?.[1]
  const scope = repository
    ? `repository:${repository}:pull`
    : url.pathname === '/v2/_catalog'
      ? 'registry:catalog:*'
      : ''
  if (authorization === `Bearer ${tokenFor(host, scope)}`) return true
  const challenge = `Bearer realm="http://${host}/token",service="fake"${scope && `,scope="${scope}"`}`
  response.setHeader('www-authenticate', challenge)
  refuse(response, 401, 'UNAUTHORIZED')
  return false
}

function answerContent(state: State, url: URL, head: boolean, response: ServerResponse): ServerResponse {
  const { pathname: path, searchParams: query } = url
  if (path === '/v2/') return sendJson(response, 200, {})
  if (path === '/v2/_catalog') {
    if (state.mode === 'nocatalogue') return refuse(response, 404, 'NAME_UNKNOWN')
    const { items, link } = listPage(Object.keys(state.repositories), path, query)
    return sendJson(response, 200, { repositories: items }, link)
  }
  const [, name = '', endpoint, reference = ''] =
    /^\/v2\/(.+)\/(tags|manifests|blobs)\/([^/]+)$/.exec(path) ?? []
  const repository = Object.hasOwn(state.repositories, name) ? state.repositories[name]! : null
  if (!repository) return refuse(response, 404, 'NAME_UNKNOWN')
  if (endpoint === 'tags') {
    const { items, link } = listPage(Object.keys(repository), path, query)
    return sendJson(response, 200, { name, tags: items }, link)
  }
  const found = findDocument(repository, reference)
  if (!found) return refuse(response, 404, 'MANIFEST_UNKNOWN')
  response.writeHead(200, {
    'content-type': found.mediaType,
    'content-length': found.body.length,
    'docker-content-digest': found.digest,
  })
  return response.end(head ? undefined : found.body)
}

function findDocument(repository: FakeContent[string], reference: string): Document | undefined {
  const imageOf = (tag: string) => {
    const image = repository[tag]!
    return documentsOf(typeof image === 'string' ? { seed: image } : image)
  }
  if (Object.hasOwn(repository, reference)) return imageOf(reference)[0]
  return Object.keys(repository)
    .flatMap(imageOf)
    .find(({ digest }) => digest === reference)
}

function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  link: string | null = null,
): ServerResponse {
  response.writeHead(status, { 'content-type': 'application/json', ...(link && { link }) })
  return response.end(JSON.stringify(value))
}

const refuse = (response: ServerResponse, status: number, code: string): ServerResponse =>
  sendJson(response, status, { errors: [{ code }] })
