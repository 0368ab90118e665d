import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SealedCredentials } from '../../../src/scanning/sensors/protocol.ts'
import { type HttpPolicy, type HttpSession, openHttpSession } from '../net/guarded-http.ts'
import { parseChallenge } from './challenge.ts'
import type { ImageReference } from './image-reference.ts'
import { asPullError, PullError } from './pull-error.ts'
import { discardBody, readBody } from './read-body.ts'
import { authorize } from './registry-token.ts'

const MAX_REDIRECTS = 5
const ATTEMPTS = 3
const RETRY_MS = 500 // doubled each time
const MAX_RETRY_AFTER_MS = 15_000 // a registry that asks for more is reported as rate limited at once

export interface RegistrySession {
  /** GET below `/v2/<repository>/`. Resolves with a 200 reply whose body the caller reads; rejects with PullError. */
  get(path: string, accept: readonly string[]): Promise<IncomingMessage>
  /** The same with a small body, read whole: null when it is longer than `maxBytes`. */
  read(path: string, accept: readonly string[], maxBytes: number): Promise<SmallReply>
  close(): void
}

interface SmallReply {
  contentType: string
  bytes: Buffer | null
}

export interface RegistryAccess {
  reference: ImageReference
  credentials: SealedCredentials | null
  policy: HttpPolicy
  signal: AbortSignal
  retryMs?: number
}

/** A conversation with one repository: scheme, authentication, redirects and passing trouble are settled here. */
export async function openRegistry(access: RegistryAccess): Promise<RegistrySession> {
  const http = openHttpSession(access.policy)
  try {
    const base = await findScheme(http, access)
    let authorization: string | null = null

    async function once(path: string, accept: readonly string[]): Promise<IncomingMessage> {
      const url = new URL(`/v2/${access.reference.repository}/${path}`, base)
      const first = await follow(http, url, authorization, accept, access.signal)
      if (first.statusCode !== 401) return checked(first, path)
      discardBody(first)
      const challenge = parseChallenge(first.headers['www-authenticate'])
      authorization = await authorize(
        http,
        challenge,
        access.reference.repository,
        access.credentials,
        access.signal,
      )
      return checked(await follow(http, url, authorization, accept, access.signal), path)
    }

    return {
      get: (path, accept) => withRetries(() => once(path, accept), access),
      read: (path, accept, maxBytes) =>
        withRetries(async () => {
          const reply = await once(path, accept)
          const contentType = (reply.headers['content-type'] ?? '').split(';')[0]?.trim() ?? ''
          return { contentType, bytes: await readBody(reply, maxBytes) }
        }, access),
      close: () => http.close(),
    }
  } catch (error) {
    http.close()
    throw error
  }
}

/** https, or for an insecure registry that does not speak it, http. Asked without credentials. */
async function findScheme(http: HttpSession, access: RegistryAccess): Promise<URL> {
  const { reference, policy, signal } = access
  const secure = new URL(`https://${reference.apiHost}/v2/`)
  if (!policy.insecure) return secure
  try {
    discardBody(await http.get(secure, {}, signal))
    return secure
  } catch (error) {
    const refused = (error as { code?: string }).code === 'HG_ADDRESS_REFUSED'
    if (refused || signal.aborted) throw asPullError(error, reference.host)
    return new URL(`http://${reference.apiHost}/v2/`)
  }
}

/** Follows redirects by hand: credentials go to the registry's own origin only. */
async function follow(
  http: HttpSession,
  start: URL,
  authorization: string | null,
  accept: readonly string[],
  signal: AbortSignal,
): Promise<IncomingMessage> {
  let url = start
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const sent: Record<string, string> = authorization && url.origin === start.origin ? { authorization } : {}
    const reply = await http.get(url, { accept: accept.join(', '), ...sent }, signal)
    const location = reply.headers.location
    if (![301, 302, 303, 307, 308].includes(reply.statusCode ?? 0)) {
      if (reply.statusCode !== 401 || url.origin === start.origin) return reply
      // another host's challenge is never answered: it would choose where the credentials go
      discardBody(reply)
      throw new PullError('registry_error', 'The storage that it redirects to answered 401.')
    }
    discardBody(reply)
    if (!location || !URL.canParse(location, url))
      throw new PullError('registry_invalid_reply', 'It redirects to nowhere.')
    url = new URL(location, url)
  }
  throw new PullError('registry_invalid_reply', 'It redirects too often.')
}

function checked(reply: IncomingMessage, path: string): IncomingMessage {
  const status = reply.statusCode ?? 0
  if (status === 200) return reply
  discardBody(reply)
  if (status === 401) throw new PullError('registry_unauthorized', 'It answered 401.')
  if (status === 403) throw new PullError('registry_forbidden', 'It answered 403.')
  if (status === 404) throw new PullError('image_not_found', `It has no ${path.slice(0, 100)}.`)
  if (status === 429) throw new RateLimited(reply.headers['retry-after'])
  throw new PullError('registry_error', `It answered ${status}.`, { retry: status >= 500 })
}

class RateLimited extends PullError {
  readonly afterMs: number | null
  constructor(header: string | undefined) {
    super('registry_rate_limited', 'It answered 429.', { retry: true })
    this.afterMs = header && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : null
  }
}

async function withRetries<T>(attempt: () => Promise<T>, access: RegistryAccess): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await attempt()
    } catch (cause) {
      const error = asPullError(cause, access.reference.host)
      if (!(error instanceof PullError) || !error.retry || tried === ATTEMPTS) throw error
      const backoff = (access.retryMs ?? RETRY_MS) * 2 ** (tried - 1) * (0.5 + Math.random())
      const wait = error instanceof RateLimited && error.afterMs !== null ? error.afterMs : backoff
      if (wait > MAX_RETRY_AFTER_MS) throw error
      await sleep(wait, undefined, { signal: access.signal })
    }
  }
}
