import { beforeAll, describe, expect, it } from 'vitest'
import { endpoints } from '../../src/app.ts'
import type { Endpoint } from '../../src/http/endpoint.ts'
import { aCompleteScan, aHttpRunner, connected, dispatched, poll } from '../scanning/over-http.ts'
import { emptyPools } from '../scanning/world.ts'
import { type Answer, anOrganization, type Caller, type TestOrganization } from '../world.ts'

/** Ids of one organization, by the names that path parameters have. */
type Ids = Record<string, string>

/** A body that the operation takes, so that nothing but the id can be refused. */
const BODIES: Record<string, unknown> = { updateRegistry: { name: 'taken over' } }

const title = ({ route }: Endpoint) => `${route.method.toUpperCase()} ${route.path}`
const withIds = endpoints.filter(
  ({ access, face, route }) => access.kind === 'role' && !face.hidden && route.path.includes('{'),
)

/** The same form, and nobody's. */
const nobodys = (ids: Ids): Ids =>
  Object.fromEntries(
    Object.entries(ids).map(([name, id]) => [
      name,
      name === 'engine' ? id : id.replace(/_.*/, (end) => `_${'0'.repeat(end.length - 1)}`),
    ]),
  )

const call = (client: Caller, { route }: Endpoint, ids: Ids): Promise<Answer> => {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? `no id for ${name}`)
  const body = BODIES[route.operationId]
  return client.send(route.method.toUpperCase(), path, {
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    }),
  })
}

/** An organization with one of everything, through the API: registry, image, tag, scan with SBOM and outputs, key. */
async function furnished(ours: TestOrganization): Promise<Ids> {
  const { host, id: registryId } = await connected(ours)
  const { scanId } = await aCompleteScan(ours, await aHttpRunner(), `${host}/team/app:1.0`)
  const scan = (await ours.get(`/api/scans/${scanId}`)).body.data
  const found = (await ours.get('/api/vulnerabilities?limit=1')).body.data
  const key = await ours.post('/api/api-keys', { name: 'theirs' })
  const { imageId, tagId } = scan
  const sensored = await connected(ours, 'open', { scanMethod: 'sensor' })
  const { agentId: sensorId } = await aHttpRunner(sensored.sensorApiKey)
  return {
    sensorId,
    registryId,
    imageId,
    tagId,
    scanId,
    engine: 'trivy',
    vulnId: found[0].id,
    keyId: key.body.data.id,
  }
}

describe('An id of another organization', () => {
  let theirs: TestOrganization
  let ours: TestOrganization
  let foreign: Ids
  let own: Ids

  beforeAll(async () => {
    await emptyPools()
    theirs = await anOrganization()
    foreign = await furnished(theirs)
    ours = await anOrganization()
    own = await furnished(ours)
  }, 60_000)

  it.each(withIds.map((operation) => [title(operation), operation] as const))(
    '%s answers 404 to it, as to an id that nobody has',
    async (_, operation) => {
      const { access } = operation
      const client = await ours.as(access.kind === 'role' ? access.role : 'nobody')
      const random = await call(client, operation, nobodys(foreign))
      const hidden = await call(client, operation, foreign)
      expect(random).toBeProblem(404, 'NOT_FOUND')
      expect([hidden.status, hidden.text]).toEqual([random.status, random.text])
    },
  )

  it('answers 404 to it behind an id of its own', async () => {
    const operation = withIds.find(({ route }) => route.operationId === 'listTagVulnerabilities')!
    for (const mixed of [
      { ...own, tagId: foreign.tagId! },
      { ...own, imageId: foreign.imageId! },
    ])
      expect(await call(ours, operation, mixed)).toBeProblem(404, 'NOT_FOUND')
  })

  it('is left as it was by everybody else, and answers its own organization', async () => {
    const reading = withIds.filter(({ route }) => route.method === 'get')
    for (const operation of reading) {
      const answer = await call(theirs, operation, foreign)
      expect([title(operation), answer.status]).toEqual([title(operation), 200])
    }
    const { name } = (await theirs.get(`/api/registries/${foreign.registryId}`)).body.data
    expect(name).toBe('open')
    const keys = (await theirs.get('/api/api-keys')).body.data.map((key: { id: string }) => key.id)
    expect(keys).toContain(foreign.keyId)
  })

  it('of a job is answered to a foreign sensor as an id that nobody has', async () => {
    const sensored = await connected(ours, 'open', { scanMethod: 'sensor' })
    const sensor = await aHttpRunner(sensored.sensorApiKey)
    const others = await connected(theirs, 'open', { scanMethod: 'sensor' })
    const owner = await aHttpRunner(others.sensorApiKey)
    await dispatched(theirs, `${others.host}/team/app:1.0`)
    const job = await poll(owner)
    const sha256 = '0'.repeat(64)
    for (const id of [job.id, job.id.replace(/_.*/, (end) => `_${'0'.repeat(end.length - 1)}`)]) {
      const blob = await sensor.send('PUT', `/api/agent/jobs/${id}/blobs/${sha256}?fence=1`, {
        body: '{}',
        headers: { 'Content-Length': '2' },
      })
      const status = await sensor.post(`/api/agent/jobs/${id}/status`, { status: 'failed', fence: 1 })
      for (const answer of [blob, status])
        expect([answer.status, answer.body.code]).toEqual([409, 'lease_lost'])
    }
    const beat = await owner.post('/api/agent/heartbeat', { jobs: [{ id: job.id, fence: job.lease.fence }] })
    expect(beat.body.jobs[0].leaseSeconds).toBeGreaterThan(0)
  })
})
