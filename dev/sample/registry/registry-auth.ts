import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Bearer without a username gives its tokens to everybody, as public registries do. */
export type RegistryAuth =
  | { kind: 'basic'; username: string; password: string }
  | { kind: 'bearer'; username?: string; password?: string }

const TOKEN_SECONDS = 300 // what registries commonly grant
const MAX_TOKENS = 1000
const SERVICE = 'sample-registry'

/** The registry's guard: who may read, and the token endpoint `/token` of the Bearer scheme. */
export class RegistryGuard {
  readonly #auth: RegistryAuth | null
  readonly #tokens = new Map<string, { scope: string; expiresAt: number }>()

  constructor(auth: RegistryAuth | null) {
    this.#auth = auth
  }

  /** True when the request may go on; otherwise a 401 with the challenge has been sent. */
  admit(request: IncomingMessage, response: ServerResponse, scope: string | null): boolean {
    const auth = this.#auth
    if (!auth) return true
    const [scheme = '', value = ''] = (request.headers.authorization ?? '').split(' ')
    if (auth.kind === 'basic' && scheme.toLowerCase() === 'basic' && isBasicOf(value, auth)) return true
    if (auth.kind === 'bearer' && scheme.toLowerCase() === 'bearer' && this.#isValid(value, scope))
      return true
    const realm = `http://${request.headers.host}/token`
    const scoped = scope ? `,scope="${scope}"` : ''
    const challenge =
      auth.kind === 'basic' ? 'Basic realm="sample"' : `Bearer realm="${realm}",service="${SERVICE}"${scoped}`
    unauthorized(response, challenge)
    return false
  }

  /** Answers `GET /token?service=…&scope=…`. */
  answerToken(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): void {
    const auth = this.#auth
    if (auth?.kind !== 'bearer') {
      response.writeHead(404).end()
      return
    }
    const [scheme = '', value = ''] = (request.headers.authorization ?? '').split(' ')
    const account = { username: auth.username ?? '', password: auth.password ?? '' }
    const open = auth.username === undefined && scheme === ''
    if (!open && !(scheme.toLowerCase() === 'basic' && isBasicOf(value, account))) {
      unauthorized(response, 'Basic realm="sample"')
      return
    }
    if (this.#tokens.size >= MAX_TOKENS) this.#tokens.clear()
    const token = randomBytes(24).toString('base64url')
    const scope = query.getAll('scope').join(' ')
    this.#tokens.set(token, { scope, expiresAt: Date.now() + TOKEN_SECONDS * 1000 })
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ token, access_token: token, expires_in: TOKEN_SECONDS }))
  }

  #isValid(token: string, scope: string | null): boolean {
    const known = this.#tokens.get(token)
    if (!known || known.expiresAt <= Date.now()) return false
    return scope === null || known.scope.split(' ').includes(scope)
  }
}

function unauthorized(response: ServerResponse, challenge: string): void {
  response.writeHead(401, { 'content-type': 'application/json', 'www-authenticate': challenge })
  response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }))
}

function isBasicOf(value: string, account: { username: string; password: string }): boolean {
  const expected = Buffer.from(`${account.username}:${account.password}`)
  return timingSafeEqual(digest(Buffer.from(value, 'base64')), digest(expected))
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
