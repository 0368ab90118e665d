import { request } from 'node:http'
import { type Operation, operationAt } from './operations.ts'

const TIMEOUT_MS = 30_000 // a hang ends the run

export interface Reply {
  status: number
  headers: Record<string, string | string[] | undefined>
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: replies are read without their schemas
  body: any
}

export interface Sent {
  key?: string | null
  body?: unknown
  headers?: Record<string, string>
  /** The client's address; otherwise one of its own. */
  address?: string
}

export type Call = (method: string, path: string, sent?: Sent) => Promise<Reply>

/** Statuses by operation: what was seen of the document. */
export type Seen = Map<string, Set<number>>

export function note(seen: Seen, operationId: string, status: number): void {
  seen.set(operationId, (seen.get(operationId) ?? new Set()).add(status))
}

/** Calls of the served Worker; what each was answered with is noted. A body that is no text is sent as JSON. */
export function caller(origin: string, operations: readonly Operation[], seen: Seen): Call {
  let calls = 0
  return async (method, path, sent = {}) => {
    const number = calls++
    const { body } = sent
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    const headers = {
      'CF-Connecting-IP': sent.address ?? `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`,
      ...(sent.key && { 'X-API-Key': sent.key }),
      ...(text !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(text)),
      }),
      ...sent.headers,
    }
    const reply = await exchange(origin + path, method, headers, text)
    const operation = operationAt(operations, method, path)
    if (operation) note(seen, operation.id, reply.status)
    return reply
  }
}

function exchange(
  url: string,
  method: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, timeout: TIMEOUT_MS }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const isJson = incoming.headers['content-type']?.startsWith('application/json') && text !== ''
        resolve({
          status: incoming.statusCode!,
          headers: incoming.headers,
          text,
          body: isJson ? JSON.parse(text) : null,
        })
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${method} ${url} was not answered in time`)))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
