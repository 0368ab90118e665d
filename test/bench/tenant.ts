import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { type Answer, send } from './http.ts'
import { joinAsRunner, type Runner } from './runner.ts'
import { API_HOST, type BenchServer } from './server.ts'

export const REGISTRY = 'registry.bench.example'
export const ENGINES = ['trivy', 'grype', 'syft']
const CONNECTIONS = 10
const POLL_MS = 10 // between two looks: the resolution of "readable"
const GIVE_UP_MS = 120_000 // the lease's length: what takes longer ends the run

/** An organization with one registry whose images its sensor scans: the Worker calls nobody. */
export interface Tenant extends Runner {
  /** Throws unless the answer is 2xx. */
  get(path: string): Promise<Answer>
  apiKey: string
  /** Number of the organization, and binding of its shard. */
  num: number
  shard: string
  registryId: string
  /** One more runner under the same sensor key. */
  anotherRunner(): Promise<Runner>
  /** Asks for a scan of each `repository:tag`; one may be asked for several times. */
  requestScans(references: readonly string[]): Promise<void>
}

export type Send = (method: string, path: string, key: string, body?: unknown) => Promise<Answer>

export async function aTenant(server: BenchServer, name = 'Bench'): Promise<Tenant> {
  const call = caller(server, new Agent({ keepAlive: true, maxSockets: CONNECTIONS }))
  const { id, apiKey } = json(
    await call('POST', '/operator/organizations', server.operatorToken, {
      ...{ name, slug: name.toLowerCase().replaceAll(' ', '-') },
      owner: { email: 'bench@example.com', name },
    }),
  ).data
  const key: string = apiKey.key
  const registry = json(
    await call('POST', '/api/registries', key, {
      ...{ name: 'Bench', provider: 'CUSTOM', url: REGISTRY, scanMethod: 'sensor', schedule: 'manual' },
    }),
  ).data
  const placed = await (await server.database('DIRECTORY'))
    .prepare('SELECT num, shard FROM organizations WHERE id = ?')
    .bind(id)
    .first<{ num: number; shard: string }>()
  const anotherRunner = () => joinAsRunner(call, registry.sensorApiKey, key)
  return {
    ...(await anotherRunner()),
    anotherRunner,
    ...{ apiKey: key, num: placed!.num, registryId: registry.id },
    shard: `SHARD_${placed!.shard.toUpperCase()}`,
    get: (path) => call('GET', path, key),
    requestScans: async (references) => {
      const ask = (reference: string) =>
        call('POST', '/api/scans', key, { image: `${REGISTRY}/${reference}`, scanners: ENGINES })
      await Promise.all(references.map(ask))
    },
  }
}

/** A client address for every eight calls: rate limits are not what is measured. */
function caller(server: BenchServer, http: Agent): Send {
  const network = randomBytes(4).toString('hex')
  let calls = 0
  return async (method, path, key, body) => {
    const number = (calls++ >> 3).toString(16).padStart(8, '0')
    const answer = await send(
      server.origin,
      {
        ...{ host: API_HOST, method, path },
        headers: {
          Authorization: `Bearer ${key}`,
          'CF-Connecting-IP': `2001:db8:${network.slice(0, 4)}:${network.slice(4)}::${number.slice(0, 4)}:${number.slice(4)}`,
          ...(body !== undefined && { 'Content-Type': 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      },
      http,
    )
    if (answer.status >= 300)
      throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 500)}`)
    return answer
  }
}

// biome-ignore lint/suspicious/noExplicitAny: replies are read without their schemas
export const json = (answer: Answer): any => JSON.parse(answer.text)

/** Looks until there is something. Throws when there is nothing for two minutes. */
export async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + GIVE_UP_MS
  while (performance.now() < deadline) {
    const found = await look()
    if (found !== null) return found
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  throw new Error(`waited in vain for ${what}`)
}
