import { GUARD_SENTENCES, type GuardRule, guardUrl, type HostPolicy } from './host-guard.ts'

export type SafeFetchMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'

export interface SafeFetchOptions extends HostPolicy {
  timeoutMs: number
  /** Largest body that is read, in bytes after decompression. */
  maxBytes: number
  method?: SafeFetchMethod
  headers?: Record<string, string>
  body?: string | Uint8Array<ArrayBuffer>
  /** `host[:port]` that the Authorization header is meant for; another first host is refused. */
  credentialsFor?: string
  /** Redirects followed by hand; 0 returns the redirect itself. */
  redirects?: number
  signal?: AbortSignal
}

/** What went wrong with a call. Nothing here repeats what the other side said. */
export type SafeFetchError =
  | {
      kind: 'refused'
      rule: GuardRule | 'credentials_host' | 'body_redirect'
      redirected: boolean
      message: string
    }
  | { kind: 'timeout'; message: string }
  | { kind: 'aborted'; message: string }
  | { kind: 'unreachable'; message: string }
  | { kind: 'too_large'; message: string }
  | { kind: 'too_many_redirects'; message: string }

export interface SafeReply {
  status: number
  headers: Headers
  body: Uint8Array<ArrayBuffer>
  /** Where the reply came from, after redirects. */
  url: string
}

export type SafeFetchResult = { ok: true; reply: SafeReply } | { ok: false; error: SafeFetchError }

/** `safeFetch` with the deployment's network policy bound: what features and tests are given. */
export type SafeFetch = (
  url: string,
  options: Omit<SafeFetchOptions, 'allowPrivateNetworks'>,
) => Promise<SafeFetchResult>

export type Transport = (url: string, init: RequestInit) => Promise<Response>

const CREDENTIAL_HEADERS = ['authorization', 'proxy-authorization', 'cookie']
const REDIRECTS = [301, 302, 303, 307, 308]
const USER_AGENT = 'HarborGuard' // some registries refuse calls without one

export const bindSafeFetch =
  (deployment: { allowPrivateNetworks: boolean }, transport?: Transport): SafeFetch =>
  (url, options) =>
    safeFetch(url, { ...options, allowPrivateNetworks: deployment.allowPrivateNetworks }, transport)

/**
 * The only way the Worker calls out: guarded addresses, redirects by hand and guarded again, credentials dropped
 * for good when scheme, host or port changes, one time limit over the whole exchange, one size limit on the body.
 * Every status is a reply; errors are data and never thrown.
 */
export async function safeFetch(
  url: string,
  options: SafeFetchOptions,
  transport: Transport = (target, init) => fetch(target, init),
): Promise<SafeFetchResult> {
  if (options.signal?.aborted) return failed('aborted')
  const stop = new AbortController()
  let expired = false
  const timer = setTimeout(() => {
    expired = true
    stop.abort()
  }, options.timeoutMs)
  const onAbort = () => stop.abort()
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const stopped = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
  })
  try {
    return await Promise.race([exchange(url, options, transport, stop.signal), stopped])
  } catch {
    if (expired) return failed('timeout')
    return failed(options.signal?.aborted ? 'aborted' : 'unreachable')
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', onAbort)
  }
}

interface Hop {
  url: URL
  method: SafeFetchMethod
  headers: Headers
  body: string | Uint8Array<ArrayBuffer> | undefined
}

async function exchange(
  url: string,
  options: SafeFetchOptions,
  transport: Transport,
  signal: AbortSignal,
): Promise<SafeFetchResult> {
  const first = firstHop(url, options)
  if (!first.ok) return first
  let hop = first.hop
  const limit = options.redirects ?? 0
  for (let followed = 0; ; followed++) {
    const response = await transport(hop.url.href, {
      method: hop.method,
      headers: hop.headers,
      ...(hop.body === undefined ? {} : { body: hop.body }),
      redirect: 'manual',
      cache: 'no-store',
      signal,
    })
    const location = REDIRECTS.includes(response.status) ? response.headers.get('location') : null
    if (location === null || limit === 0) return readReply(response, hop, options.maxBytes)
    await discard(response)
    if (followed >= limit) return failed('too_many_redirects')
    const next = nextHop(hop, response.status, location, options)
    if (!next.ok) return next
    hop = next.hop
  }
}

type HopResult = { ok: true; hop: Hop } | { ok: false; error: SafeFetchError }

function firstHop(url: string, options: SafeFetchOptions): HopResult {
  const verdict = guardUrl(url, options)
  if (!verdict.ok) return refused(verdict.rule, false)
  const headers = new Headers(options.headers)
  if (!headers.has('user-agent')) headers.set('user-agent', USER_AGENT)
  const meantFor = options.credentialsFor
  if (meantFor !== undefined && headers.has('authorization')) {
    const expected = URL.parse(`${verdict.url.protocol}//${meantFor}`)
    if (expected?.host !== verdict.url.host) return refused('credentials_host', false)
  }
  return { ok: true, hop: { url: verdict.url, method: options.method ?? 'GET', headers, body: options.body } }
}

/** 303, and 301 or 302 after a POST, become GET as browsers do; a body never travels to another origin. */
function nextHop(hop: Hop, status: number, location: string, policy: HostPolicy): HopResult {
  const target = redirectTarget(location, hop.url)
  if (target === null) return refused('malformed', true)
  const verdict = guardUrl(target, policy)
  if (!verdict.ok) return refused(verdict.rule, true)
  const headers = new Headers(hop.headers)
  const sameOrigin = verdict.url.origin === hop.url.origin
  if (!sameOrigin) for (const name of CREDENTIAL_HEADERS) headers.delete(name)
  const toGet = hop.method !== 'HEAD' && (status === 303 || (hop.method === 'POST' && status < 303))
  if (!toGet && hop.body !== undefined && !sameOrigin) return refused('body_redirect', true)
  if (toGet) for (const name of ['content-type', 'content-length']) headers.delete(name)
  return {
    ok: true,
    hop: {
      url: verdict.url,
      method: toGet ? 'GET' : hop.method,
      headers,
      body: toGet ? undefined : hop.body,
    },
  }
}

/** Absolute locations keep their own notation, so that the guard sees what was written. */
function redirectTarget(location: string, base: URL): string | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(location)) return location
  if (/^[/\\]{2}/.test(location)) return base.protocol + location
  return URL.parse(location, base)?.href ?? null
}

async function readReply(response: Response, hop: Hop, maxBytes: number): Promise<SafeFetchResult> {
  const reply = { status: response.status, headers: response.headers, url: hop.url.href }
  if (hop.method === 'HEAD' || response.body === null) {
    await discard(response)
    return { ok: true, reply: { ...reply, body: new Uint8Array(0) } }
  }
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await discard(response)
    return failed('too_large')
  }
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    size += value.byteLength
    if (size > maxBytes) {
      await reader.cancel().catch(() => undefined)
      return failed('too_large')
    }
    chunks.push(value)
  }
  const body = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    body.set(chunk, offset)
    offset += chunk.byteLength
  }
  return { ok: true, reply: { ...reply, body } }
}

/** Unread bodies hold one of the six connections that an invocation has. */
async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined)
}

const SENTENCES = {
  timeout: 'The other side did not answer in time.',
  aborted: 'The call was given up.',
  unreachable: 'No connection could be made, or it broke.',
  too_large: 'The answer is larger than accepted.',
  too_many_redirects: 'There were too many redirects.',
} as const

const failed = (kind: keyof typeof SENTENCES): { ok: false; error: SafeFetchError } => ({
  ok: false,
  error: { kind, message: SENTENCES[kind] },
})

function refused(
  rule: GuardRule | 'credentials_host' | 'body_redirect',
  redirected: boolean,
): { ok: false; error: SafeFetchError } {
  const sentence =
    rule === 'credentials_host'
      ? 'The credentials belong to another host.'
      : rule === 'body_redirect'
        ? 'A redirect would send the request to another host.'
        : GUARD_SENTENCES[rule]
  const message = redirected ? `A redirect was refused. ${sentence}` : sentence
  return { ok: false, error: { kind: 'refused', rule, redirected, message } }
}
