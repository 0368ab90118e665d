import { env, exports } from 'cloudflare:workers'
import { expect } from 'vitest'
import type { Organization } from '../src/context.ts'
import { newMeter, placedDb } from '../src/db/shards.ts'
import type { Env } from '../src/env.ts'
import { undocumented } from './contract/conformance.ts'
import { firstOf } from './event-stream.ts'

const BASE = 'https://api.test'

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies without knowing their shape
export type Json = Record<string, any>

/** A reply read to its end, of an event stream the data of its first event. `body` is the parsed JSON, or null where there is none. */
export interface Answer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies without knowing their shape
  body: any
  /** What D1 charged for the request. */
  meter: { trips: number; read: number; written: number }
}

export interface Caller {
  get(path: string, headers?: Json): Promise<Answer>
  post(path: string, body?: unknown, headers?: Json): Promise<Answer>
  put(path: string, body?: unknown, headers?: Json): Promise<Answer>
  delete(path: string, headers?: Json): Promise<Answer>
  /** Any method and any body, sent as it is. */
  send(method: string, path: string, init?: RequestInit): Promise<Answer>
}

let callers = 0

/** A client with one credential and an address of its own, so that rate limits of tests never meet. */
export function caller(key: string | null, fixed: Json = {}): Caller {
  const address = `203.0.113.${(callers++ % 250) + 1}`
  const send = async (method: string, path: string, init: RequestInit = {}): Promise<Answer> => {
    const headers = new Headers({ 'CF-Connecting-IP': address, ...fixed, ...(init.headers as Json) })
    if (key && !headers.has('Authorization') && !headers.has('X-API-Key'))
      headers.set('Authorization', `Bearer ${key}`)
    const response = await exports.default.fetch(
      new Request(BASE + path, { ...init, method, headers, redirect: 'manual' }),
    )
    const answer = await read(response)
    const departure = method === 'HEAD' ? null : undocumented(method, path, answer.status, answer.body)
    if (departure) throw new Error(`not as documented: ${departure}`)
    return answer
  }
  const json =
    (method: string) =>
    (path: string, body?: unknown, headers: Json = {}) =>
      send(method, path, {
        ...(body !== undefined && { body: JSON.stringify(body) }),
        headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
      })
  return {
    send,
    get: (path, headers = {}) => send('GET', path, { headers }),
    delete: (path, headers = {}) => send('DELETE', path, { headers }),
    post: json('POST'),
    put: json('PUT'),
  }
}

async function read(response: Response): Promise<Answer> {
  const isStream = response.headers.get('Content-Type') === 'text/event-stream' && response.body !== null
  const text = isStream ? await firstOf(response.body!) : await response.text()
  const charged = /trips=(\d+) read=(\d+) written=(\d+)/.exec(response.headers.get('Server-Timing') ?? '')
  const [trips = 0, rowsRead = 0, written = 0] = (charged?.slice(1) ?? []).map(Number)
  const isJson = response.headers.get('Content-Type')?.includes('json')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson && text ? JSON.parse(text) : null,
    meter: { trips, read: rowsRead, written },
  }
}

export const nobody = caller(null)
export const theOperator = caller((env as Env).OPERATOR_TOKEN!)

export interface TestOrganization extends Caller {
  organization: Organization
  adminKey: string
  /** A client whose key has this role. */
  as(role: string): Promise<Caller>
  /** The organization's shard, for arranging and for looking behind the API. */
  db: ReturnType<typeof placedDb>
}

let organizations = 0

/** A new organization through the operator route, with a client that holds its admin key. */
export async function anOrganization(): Promise<TestOrganization> {
  const slug = `org-${Date.now().toString(36)}-${organizations++}`
  const answer = await theOperator.post('/operator/organizations', {
    name: slug,
    slug,
    owner: { email: `${slug}@example.com`, name: 'Owner' },
  })
  expect(answer.status, answer.text).toBe(201)
  const { id, apiKey } = answer.body.data
  const placed = await (env as Env).DIRECTORY.prepare(
    'SELECT num, id, slug, shard FROM organizations WHERE id = ?',
  )
    .bind(id)
    .first<Organization>()
  const admin = caller(apiKey.key)
  return {
    ...admin,
    organization: placed!,
    adminKey: apiKey.key,
    db: placedDb(env as Env, placed!.shard, newMeter()),
    as: async (role) => {
      const key = await caller(apiKey.key).post('/api/api-keys', { name: role, role })
      expect(key.status, key.text).toBe(201)
      return caller(key.body.data.key)
    },
  }
}

expect.extend({
  /** The documented status and code, and a message. */
  toBeProblem(answer: Answer, status: number, code: string) {
    const error = answer.body?.error
    return {
      pass: answer.status === status && error?.code === code && typeof error.message === 'string',
      message: () => `expected ${status} ${code}, got ${answer.status} ${answer.text.slice(0, 500)}`,
    }
  },
})

declare module 'vitest' {
  interface Matchers<R> {
    toBeProblem(status: number, code: string): R
  }
}
