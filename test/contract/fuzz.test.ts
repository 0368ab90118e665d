import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { endpoints } from '../../src/app.ts'
import { jobWireId } from '../../src/ids.ts'
import { aFakeRegistry } from '../fake-registry.ts'
import { rowsOf } from '../tables.ts'
import {
  type Answer,
  anOrganization,
  type Caller,
  caller,
  type TestOrganization,
  theOperator,
} from '../world.ts'
import { type HostileRequest, hostileRequest, type Known } from './hostile-requests.ts'

const RUNS = 40 // of each operation
const SEED = 20261121 // fast-check prints it with the path of a failing case
const MARK = 'only-for-theirs'

const operations = endpoints.filter(({ face }) => !face.hidden)
const title = ({ route }: (typeof endpoints)[number]) => `${route.method.toUpperCase()} ${route.path}`

let ours: TestOrganization
let theirs: TestOrganization
let clients: Record<'role' | 'agent' | 'public', Caller>
let known: Known
/** What is left of `known` to a caller that deletes. */
let foreign: Known
let secrets: string[]
let addresses = 0

/** An organization with a registry, a scan and a key, all of whose texts carry `name`. */
async function furnished(name: string) {
  const organization = await anOrganization()
  const { host } = await aFakeRegistry('open')
  const registry = await organization.post('/api/registries', {
    ...{ name, provider: 'CUSTOM', url: host, insecure: true, scanMethod: 'sensor' },
    credentials: { username: 'user', password: `${name}-password` },
  })
  expect(registry.status, registry.text).toBe(201)
  const scan = await organization.post('/api/scans', { image: `${host}/team/app:1.0`, scanners: ['trivy'] })
  expect(scan.status, scan.text).toBe(202)
  const key = await organization.post('/api/api-keys', { name, role: 'viewer' })
  const sensor = await caller(registry.body.data.sensorApiKey).post('/api/agent/register', {
    name,
    version: '1',
  })
  const ids = {
    sensorId: [sensor.body.agentId],
    registryId: [registry.body.data.id],
    scanId: [scan.body.scanId],
    keyId: [key.body.data.id],
    engine: ['trivy'],
    sha256: ['a'.repeat(64)],
    id: [jobWireId(organization.organization.shard, organization.organization.num, scan.body.scanId)],
  }
  return { organization, host, ids, secrets: [registry.body.data.sensorApiKey, `${name}-password`] }
}

const idsOf = (...given: Record<string, string[]>[]) =>
  Object.fromEntries(Object.keys(given[0]!).map((name) => [name, given.flatMap((ids) => ids[name]!)]))

const fittingBodies = (host: string) => ({
  createApiKey: { name: 'k', role: 'viewer' },
  createRegistry: { name: 'r', provider: 'CUSTOM', url: `other.${host}`, insecure: true, schedule: 'manual' },
  updateRegistry: { name: 'r', scanning: { schedule: 'weekly', includeTags: 'v*' } },
  testConnection: { provider: 'CUSTOM', url: host, insecure: true },
  requestScan: { image: `${host}/team/app:1.1`, scanners: ['trivy', 'grype'] },
  registerAgent: {
    name: 'r',
    version: '1',
    capabilities: ['scan', 'lease'],
    scannerVersions: { trivy: '1' },
  },
  heartbeat: { agentId: 'agt_1', status: 'idle', jobs: [] },
  reportJobStatus: { status: 'failed', fence: 1, error: 'e', reason: { code: 'x', message: 'y' } },
})

beforeAll(async () => {
  const [mine, others] = [await furnished('ours'), await furnished(MARK)]
  ours = mine.organization
  theirs = others.organization
  const bodies = fittingBodies(mine.host)
  known = { bodies, ids: idsOf(mine.ids, others.ids) }
  foreign = { bodies, ids: others.ids }
  const runner = (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
  secrets = [...mine.secrets, ...others.secrets, ours.adminKey, theirs.adminKey, runner]
  clients = { role: caller(ours.adminKey), agent: caller(runner), public: caller(null) }
})

const send = (client: Caller, method: string, { path, headers, body }: HostileRequest): Promise<Answer> => {
  const all = new Headers({ 'Content-Type': 'application/json' })
  // every request comes from an address of its own, so that no rate limit hides what is behind it
  all.set('CF-Connecting-IP', `2001:db8::${(addresses++).toString(16)}`)
  for (const [name, value] of headers) {
    if (name === 'Authorization' || name === 'X-API-Key' || name === 'Content-Type') all.append(name, value)
    else all.set(name, value)
  }
  return client.send(method, path, { headers: Object.fromEntries(all), ...(body !== undefined && { body }) })
}

function judge(answer: Answer, agentFace: boolean): void {
  expect(answer.status, answer.text.slice(0, 500)).toBeLessThan(500)
  expect(answer.headers.get('X-Request-Id')).toMatch(/^req_/)
  expect(answer.text).not.toMatch(/SQLITE|D1_|TypeError|RangeError|\.ts:\d+/)
  expect(answer.text.includes(MARK), answer.text.slice(0, 500)).toBe(false)
  for (const secret of secrets) expect(answer.text.includes(secret)).toBe(false)
  if (answer.status < 400) return
  const { code, message } = agentFace
    ? { code: answer.body.code, message: answer.body.error }
    : answer.body.error
  expect([typeof code, typeof message]).toEqual(['string', 'string'])
  expect(answer.text.length).toBeLessThan(100_000)
}

describe('No input', () => {
  it.each(operations.map((operation) => [title(operation), operation] as const))(
    'to %s is answered with a server error, a secret or anything that is not documented',
    async (_, operation) => {
      const client = clients[operation.access.kind as keyof typeof clients]
      const method = operation.route.method.toUpperCase()
      const agentFace = operation.face.name === 'agent'
      await fc.assert(
        fc.asyncProperty(
          hostileRequest(operation, method === 'DELETE' ? foreign : known),
          async (request) => {
            judge(await send(client, method, request), agentFace)
          },
        ),
        { seed: SEED, numRuns: RUNS, endOnFailure: true },
      )
    },
    60_000,
  )

  it("changes another organization's rows", async () => {
    const before = await rowsOf(theirs.organization)
    expect(before.registries).toHaveLength(1)
    const deletions = operations.filter(
      ({ access, route }) => access.kind === 'role' && route.method !== 'get',
    )
    for (const operation of deletions) {
      const sample = fc.sample(hostileRequest(operation, foreign), { seed: SEED, numRuns: 10 })
      for (const request of sample) await send(clients.role, operation.route.method.toUpperCase(), request)
    }
    expect(await rowsOf(theirs.organization)).toEqual(before)
  })
})
