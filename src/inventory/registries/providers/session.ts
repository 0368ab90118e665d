import type { SafeFetchMethod, SafeReply } from '../../../net/safe-fetch.ts'
import { done, fail, fromSafeFetch, type RegistryError, type RegistryOutcome } from '../errors.ts'
import { type Challenge, parseChallenge } from './challenge.ts'
import type { RegistryConnection } from './provider.ts'
import { replyFault } from './reply.ts'
import { basicHeader, exchangeToken, type Token } from './token.ts'

export interface RegistryRequest {
  /** Path and query after the registry's origin, beginning with `/v2/`. */
  path: string
  /** Token scope this needs; null for none in particular. */
  scope: string | null
  method?: SafeFetchMethod
  accept?: string
  maxBytes: number
}

/** Authentication of one conversation: what the registry asked for, and the tokens it gave. */
export interface Session {
  connection: RegistryConnection
  /** Basic once the registry asked for it, or took it at the probe. */
  sendsBasic: boolean
  bearer: Extract<Challenge, { scheme: 'bearer' }> | null
  tokens: Map<string, Token>
}

const CALL_TIMEOUT_MS = 20_000 // slow catalogues take ten
const REDIRECTS = 3 // blobs of cloud registries: one to the object store, one more within it
const MAX_TOKENS = 256 // one a repository in a long sync

export const openSession = (connection: RegistryConnection): Session => ({
  connection,
  sendsBasic: false,
  bearer: null,
  tokens: new Map(),
})

const sessionNow = (session: Session): number => (session.connection.now ?? Date.now)()

/**
 * One authenticated request. A 401 is answered once: with Basic, or with a fresh token for the scope (also when a
 * token had expired). What the registry refuses after that is an error; nothing is retried without credentials.
 */
export async function authorizedRequest(
  session: Session,
  request: RegistryRequest,
): Promise<RegistryOutcome<SafeReply>> {
  const authorization = await currentAuthorization(session, request.scope)
  if (!authorization.ok) return authorization
  const first = await send(session, request, authorization.value)
  if (!first.ok) return first
  if (first.value.status !== 401) return settled(session, first.value)
  const challenge = parseChallenge(first.value.headers.get('www-authenticate'))
  const answer = await answerChallenge(session, request.scope, challenge, authorization.value)
  if (!answer.ok) return answer
  const second = await send(session, request, answer.value)
  if (!second.ok) return second
  if (second.value.status !== 401) return settled(session, second.value)
  return fail(refusalAfter(session, parseChallenge(second.value.headers.get('www-authenticate'))))
}

function settled(session: Session, reply: SafeReply): RegistryOutcome<SafeReply> {
  const fault = replyFault(reply, sessionNow(session))
  return fault === null ? done(reply) : fail(fault)
}

/** A valid token, or one fetched now where the registry is known to want them; else Basic, else nothing. */
async function currentAuthorization(
  session: Session,
  scope: string | null,
): Promise<RegistryOutcome<string | null>> {
  const token = session.tokens.get(scope ?? '')
  if (token !== undefined && sessionNow(session) < token.until) return done(`Bearer ${token.value}`)
  if (session.bearer !== null) return newToken(session, session.bearer, scope)
  const { credentials } = session.connection
  return done(session.sendsBasic && credentials !== null ? basicHeader(credentials) : null)
}

/** Before the first token was given, a refusal means the credentials; after it, the scope. */
async function newToken(
  session: Session,
  challenge: Extract<Challenge, { scheme: 'bearer' }>,
  scope: string | null,
): Promise<RegistryOutcome<string>> {
  const token = await exchangeToken(session.connection, challenge, scope, sessionNow(session))
  if (!token.ok) {
    const credentials = token.error.kind === 'forbidden' && session.tokens.size === 0
    return credentials ? fail({ kind: 'unauthorized' }) : token
  }
  session.bearer = challenge
  session.sendsBasic = false
  if (session.tokens.size >= MAX_TOKENS) session.tokens.clear()
  session.tokens.set(scope ?? '', token.value)
  return done(`Bearer ${token.value.value}`)
}

/** The Authorization header that the challenge asks for. */
async function answerChallenge(
  session: Session,
  scope: string | null,
  challenge: Challenge | null,
  sent: string | null,
): Promise<RegistryOutcome<string>> {
  const { credentials } = session.connection
  if (challenge?.scheme === 'bearer') return newToken(session, challenge, scope)
  if (credentials === null) return fail({ kind: 'credentials_required' })
  const basic = basicHeader(credentials)
  if (challenge === null || sent === basic) return fail({ kind: 'unauthorized' })
  session.sendsBasic = true
  return done(basic)
}

/** A token that was just given and is valid, yet not enough, means that the account may not do this. */
function refusalAfter(session: Session, challenge: Challenge | null): RegistryError {
  if (session.connection.credentials === null) return { kind: 'credentials_required' }
  const invalid = challenge?.scheme === 'bearer' && challenge.error === 'invalid_token'
  return session.bearer !== null && !invalid ? { kind: 'forbidden' } : { kind: 'unauthorized' }
}

async function send(
  session: Session,
  request: RegistryRequest,
  authorization: string | null,
): Promise<RegistryOutcome<SafeReply>> {
  const { fetch, baseUrl, insecure } = session.connection
  const result = await fetch(baseUrl + request.path, {
    allowHttp: insecure,
    timeoutMs: session.connection.timeoutMs ?? CALL_TIMEOUT_MS,
    signal: session.connection.signal,
    maxBytes: request.maxBytes,
    redirects: REDIRECTS,
    credentialsFor: new URL(baseUrl).host,
    method: request.method ?? 'GET',
    headers: {
      accept: request.accept ?? 'application/json',
      ...(authorization === null ? {} : { authorization }),
    },
  })
  return result.ok ? done(result.reply) : fail(fromSafeFetch(result.error))
}

/** Sends Basic from now on: for registries that are open at their root and closed further in. */
export async function tryBasic(
  session: Session,
  request: RegistryRequest,
): Promise<RegistryOutcome<SafeReply>> {
  session.sendsBasic = true
  return authorizedRequest(session, request)
}
