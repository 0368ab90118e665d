import { z } from 'zod'
import { guardUrl } from '../../../net/host-guard.ts'
import type { UsernamePassword } from '../credentials.ts'
import { done, fail, fromSafeFetch, type RegistryOutcome } from '../errors.ts'
import type { Challenge } from './challenge.ts'
import type { RegistryConnection } from './provider.ts'
import { replyFault, replyJson } from './reply.ts'

export interface Token {
  value: string
  /** Milliseconds since 1970, somewhat before the token server's own end. */
  until: number
}

const TOKEN_TIMEOUT_MS = 15_000
const MAX_TOKEN_REPLY = 256 * 1024 // tokens that list hundreds of scopes reach tens of KB
const DEFAULT_LIFETIME_S = 60 // the token specification's value when expires_in is missing
const MAX_LIFETIME_S = 3600
const EARLY_MS = 10_000 // a token is not used in its last seconds

const TokenReply = z.looseObject({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().optional(),
})

/** The Authorization header of Basic; UTF-8 as RFC 7617 allows. */
export function basicHeader({ username, password }: UsernamePassword): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`)
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`
}

/**
 * Exchanges the stored credentials (or none) for a token at the challenge's realm. The realm must be https unless
 * the registry is insecure, and passes the same guard as every address. Refused credentials are
 * `unauthorized`; `forbidden` is a token server that denies the scope or, as some do, the credentials.
 */
export async function exchangeToken(
  connection: RegistryConnection,
  challenge: Extract<Challenge, { scheme: 'bearer' }>,
  scope: string | null,
  now: number,
): Promise<RegistryOutcome<Token>> {
  const url = realmUrl(challenge, scope, connection.insecure)
  if (url === null) {
    return fail({ kind: 'invalid_reply', message: 'Its token server has an address that is not allowed.' })
  }
  const { credentials } = connection
  const result = await connection.fetch(url, {
    allowHttp: connection.insecure,
    timeoutMs: connection.timeoutMs ?? TOKEN_TIMEOUT_MS,
    signal: connection.signal,
    maxBytes: MAX_TOKEN_REPLY,
    redirects: 2,
    headers: {
      accept: 'application/json',
      ...(credentials === null ? {} : { authorization: basicHeader(credentials) }),
    },
  })
  if (!result.ok) return fail(fromSafeFetch(result.error))
  const { reply } = result
  // Token servers answer bad credentials with 400, 401 or 403, and a denied anonymous token with 401 or 403.
  if ([400, 401, 403].includes(reply.status)) {
    if (credentials === null) return fail({ kind: 'credentials_required' })
    return fail({ kind: reply.status === 403 ? 'forbidden' : 'unauthorized' })
  }
  const fault = replyFault(reply, now)
  if (fault !== null) {
    const message = 'Its token server does not answer as one.'
    return fail(fault.kind === 'not_found' ? { kind: 'invalid_reply', message } : fault)
  }
  const body = replyJson(reply, TokenReply)
  const value = body.ok ? body.value.token || body.value.access_token : undefined
  if (!body.ok || value === undefined || !/^[\x21-\x7e]+$/.test(value)) {
    return fail({ kind: 'invalid_reply', message: 'Its token server gave no token.' })
  }
  const lifetime = Math.min(Math.max(body.value.expires_in ?? 0, DEFAULT_LIFETIME_S), MAX_LIFETIME_S)
  return done({ value, until: now + lifetime * 1000 - EARLY_MS })
}

/** `host[:port]` of the realm; null when it is not a URL. */
export const realmHost = (realm: string): string | null => URL.parse(realm)?.host ?? null

/** Networks are the fetch's own policy; here only the form counts, so that a bad realm is told from a bad network. */
function realmUrl(
  challenge: Extract<Challenge, { scheme: 'bearer' }>,
  scope: string | null,
  allowHttp: boolean,
): string | null {
  const verdict = guardUrl(challenge.realm, { allowHttp, allowPrivateNetworks: true })
  if (!verdict.ok) return null
  const { url } = verdict
  if (challenge.service !== null) url.searchParams.set('service', challenge.service)
  if (scope !== null) url.searchParams.set('scope', scope)
  return url.href
}
