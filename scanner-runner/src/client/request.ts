import { setTimeout as sleep } from 'node:timers/promises'
import { AgentProblem } from '../../../src/scanning/sensors/protocol.ts'
import { USER_AGENT } from '../version.ts'

const MAX_BACKOFF_MS = 30_000
const MAX_REPLY_BYTES = 16 * 1024 * 1024

/** The server answered, and not with 2xx. `code` is the reply's own when it has one, else `http_<status>`. */
export class ServerRefused extends Error {
  override name = 'ServerRefused'
  readonly status: number
  readonly code: string

  constructor(status: number, code: string) {
    super(`The server answered ${status} (${code}).`)
    this.status = status
    this.code = code
  }
}

export interface Endpoint {
  baseUrl: string
  apiKey: string
  /** The first wait between attempts, doubled each time, with jitter. */
  backoffMs?: number
}

export interface Call {
  method: 'GET' | 'POST' | 'PUT'
  path: string
  body?: unknown
  bytes?: { content: Uint8Array<ArrayBuffer>; mediaType: string }
  timeoutMs: number
  /** How often it is sent at most: network errors, 5xx and 429 are tried again, other refusals never. */
  attempts: number
  signal: AbortSignal
  onRetry?: (error: Error, waitMs: number) => void
}

/**
 * One call to the server, with retries; safe because every call of the protocol may be repeated. Resolves with the
 * parsed JSON of a 2xx reply, or null when it has none. Rejects with ServerRefused, or the last network error.
 */
export async function request(endpoint: Endpoint, call: Call): Promise<unknown> {
  for (let tried = 1; ; tried++) {
    try {
      return await once(endpoint, call)
    } catch (error) {
      if (call.signal.aborted || tried >= call.attempts || !isPassing(error)) throw error
      const backoff = Math.min((endpoint.backoffMs ?? 1000) * 2 ** (tried - 1), MAX_BACKOFF_MS)
      const asked = error instanceof RetryLater ? error.afterMs : 0
      const waitMs = Math.round(Math.max(asked, backoff * (0.5 + Math.random() / 2)))
      call.onRetry?.(error as Error, waitMs)
      await sleep(waitMs, undefined, { signal: call.signal })
    }
  }
}

class RetryLater extends ServerRefused {
  readonly afterMs: number
  constructor(status: number, code: string, header: string | null) {
    super(status, code)
    const seconds = header && /^\d{1,6}$/.test(header) ? Number(header) : 0
    this.afterMs = Math.min(seconds * 1000, MAX_BACKOFF_MS)
  }
}

const isPassing = (error: unknown): boolean =>
  !(error instanceof ServerRefused) || error instanceof RetryLater

async function once(endpoint: Endpoint, call: Call): Promise<unknown> {
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(call.timeoutMs)])
  const reply = await fetch(`${endpoint.baseUrl}${call.path}`, {
    method: call.method,
    headers: {
      authorization: `Bearer ${endpoint.apiKey}`,
      accept: 'application/json',
      'content-type': call.bytes?.mediaType ?? 'application/json',
      'user-agent': USER_AGENT,
    },
    body: call.bytes?.content ?? (call.body === undefined ? undefined : JSON.stringify(call.body)),
    redirect: 'manual', // the key goes to the configured address only
    signal,
  })
  const text = await readText(reply)
  if (reply.ok) return text === '' ? null : JSON.parse(text)
  const code = codeOf(text) ?? `http_${reply.status}`
  if (reply.status === 429 || reply.status >= 500)
    throw new RetryLater(reply.status, code, reply.headers.get('retry-after'))
  throw new ServerRefused(reply.status, code)
}

async function readText(reply: Response): Promise<string> {
  if (!reply.body) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of reply.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MAX_REPLY_BYTES) throw new Error('the reply is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function codeOf(text: string): string | null {
  try {
    const { code } = AgentProblem.partial().parse(JSON.parse(text))
    return code?.slice(0, 64) ?? null
  } catch {
    return null
  }
}
