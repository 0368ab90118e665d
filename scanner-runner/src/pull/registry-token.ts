import type { SealedCredentials } from '../../../src/scanning/sensors/protocol.ts'
import type { HttpSession } from '../net/guarded-http.ts'
import type { Challenge } from './challenge.ts'
import { PullError } from './pull-error.ts'
import { discardBody, readBody } from './read-body.ts'

const MAX_TOKEN_REPLY = 1024 * 1024

const basic = ({ username, password }: SealedCredentials): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/**
 * The Authorization value that answers a registry's challenge: Basic, or a token fetched from the realm.
 * Refused credentials are an error, never an anonymous second try.
 */
export async function authorize(
  http: HttpSession,
  challenge: Challenge | null,
  repository: string,
  credentials: SealedCredentials | null,
  signal: AbortSignal,
): Promise<string> {
  if (challenge?.scheme === 'bearer') return bearer(http, challenge, repository, credentials, signal)
  if (challenge?.scheme === 'basic' && credentials) return basic(credentials)
  throw new PullError(
    'registry_unauthorized',
    credentials
      ? 'It offers no way to log in that is supported.'
      : 'It wants credentials and none are stored.',
  )
}

async function bearer(
  http: HttpSession,
  challenge: Challenge,
  repository: string,
  credentials: SealedCredentials | null,
  signal: AbortSignal,
): Promise<string> {
  const url = realm(challenge)
  if (challenge.parameters.service) url.searchParams.set('service', challenge.parameters.service)
  url.searchParams.set('scope', challenge.parameters.scope || `repository:${repository}:pull`)
  const reply = await http.get(url, credentials ? { authorization: basic(credentials) } : {}, signal)
  const status = reply.statusCode ?? 0
  if (status !== 200) {
    discardBody(reply)
    throw tokenRefused(status)
  }
  const body = await readBody(reply, MAX_TOKEN_REPLY)
  const token = body && tokenIn(body)
  if (!token) throw new PullError('registry_invalid_reply', 'Its token service sent no token.')
  return `Bearer ${token}`
}

function realm(challenge: Challenge): URL {
  const text = challenge.parameters.realm ?? ''
  if (!URL.canParse(text))
    throw new PullError('registry_invalid_reply', 'Its token address is not an address.')
  return new URL(text)
}

function tokenRefused(status: number): PullError {
  if (status === 403) return new PullError('registry_forbidden', 'Its token service answered 403.')
  if (status === 429)
    return new PullError('registry_rate_limited', 'Its token service answered 429.', { retry: true })
  if (status >= 500)
    return new PullError('registry_error', `Its token service answered ${status}.`, { retry: true })
  return new PullError('registry_unauthorized', `Its token service answered ${status}.`)
}

function tokenIn(body: Buffer): string | null {
  try {
    const { token, access_token } = JSON.parse(body.toString('utf8')) as Record<string, unknown>
    const found = token || access_token
    return typeof found === 'string' && /^[\x21-\x7e]{1,65536}$/.test(found) ? found : null
  } catch {
    return null
  }
}
