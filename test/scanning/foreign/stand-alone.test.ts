import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { type Answer, anOrganization, type Caller, caller, type TestOrganization } from '../../world.ts'
import { deliver } from '../deliver.ts'
import { aHttpRunner, connected } from '../over-http.ts'
import { type SensorScan, sensorEnvelope } from './go-sensor.ts'
import { type Raw, recordedReports } from './recorded.ts'

const REPORTS = await recordedReports('sample-amd64')
const DIGEST = `sha256:${'d1'.repeat(32)}`

const uuid = () => crypto.randomUUID()

/** An upload as the one-shot mode of the sensor sends it. */
const upload = (client: Caller, document: unknown): Promise<Answer> => {
  const body = typeof document === 'string' ? document : JSON.stringify(document)
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': String(new TextEncoder().encode(body).length),
  }
  return client.send('POST', '/api/scans/upload', { body, headers })
}

const envelope = (ref: string, more: Partial<SensorScan> = {}) =>
  sensorEnvelope({ id: uuid(), ref, digest: `x@${DIGEST}`, ...REPORTS, ...more })

const ingest = (ours: TestOrganization, scanId: string) =>
  deliver({ kind: 'scan.ingest', org: ours.organization.num, scanId })

const refused = (answer: Answer) => ({ status: answer.status, code: answer.body?.code })

async function aSensor(change = {}) {
  const ours = await anOrganization()
  const registry = await connected(ours, 'open', { scanMethod: 'sensor', ...change })
  return { ours, registry, sensor: caller(registry.sensorApiKey!) }
}

const imagesOf = async (ours: TestOrganization): Promise<Raw[]> => (await ours.get('/api/images')).body.data
const scanOf = async (ours: TestOrganization, scanId: string): Promise<Raw> =>
  (await ours.get(`/api/scans/${scanId}`)).body.data

describe("a stand-alone upload with a sensor's key", () => {
  it('is a scan of its own in the registry of the key, with findings once it is ingested', async () => {
    const { ours, registry, sensor } = await aSensor()
    const uploaded = await upload(sensor, envelope(`${registry.host}/team/app:1.0`))
    expect(uploaded.status, uploaded.text).toBe(201)
    const { scanId, imageId } = uploaded.body
    expect(uploaded.body).toEqual({ ok: true, success: true, scanId, imageId })
    expect(await scanOf(ours, scanId)).toMatchObject({ status: 'IN_PROGRESS', imageId, engines: [] })
    await ingest(ours, scanId)
    const scan = await scanOf(ours, scanId)
    expect(scan).toMatchObject({
      status: 'COMPLETE',
      partial: false,
      imageId,
      digest: DIGEST,
      compliance: 'D',
    })
    expect(scan.engines.map(({ name, status }: Raw) => `${name} ${status}`)).toEqual([
      ...['trivy succeeded', 'grype succeeded', 'syft succeeded'],
    ])
    const [image] = await imagesOf(ours)
    expect(image).toMatchObject({
      id: imageId,
      name: `${registry.host}/team/app`,
      registryId: registry.id,
      latestTag: '1.0',
    })
    const findings = (await ours.get(`/api/images/${imageId}/vulnerabilities?limit=200`)).body.data
    expect(findings.length).toBeGreaterThan(20)
  })

  it('that is repeated is the same answer, and one scan', async () => {
    const { ours, registry, sensor } = await aSensor()
    const document = envelope(`${registry.host}/team/app:1.0`)
    const first = await upload(sensor, document)
    const again = await upload(sensor, document)
    await ingest(ours, first.body.scanId)
    const later = await upload(sensor, document)
    expect([first.status, again.status, later.status]).toEqual([201, 200, 200])
    expect(again.body).toEqual(first.body)
    expect(later.body).toEqual(first.body)
    expect((await ours.get('/api/scans')).body.meta.total).toBe(1)
  })

  it('that comes many times at once is one scan, and leaves one object behind', async () => {
    const { ours, registry, sensor } = await aSensor()
    const document = envelope(`${registry.host}/team/app:1.0`)
    const answers = await Promise.all(Array.from({ length: 6 }, () => upload(sensor, document)))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 201])
    expect(new Set(answers.map(({ body }) => `${body.scanId} ${body.imageId}`)).size).toBe(1)
    expect((await ours.get('/api/scans')).body.meta.total).toBe(1)
    await expect
      .poll(async () => {
        const listed = await (env as { ARTIFACTS: R2Bucket }).ARTIFACTS.list({
          prefix: `orgs/${ours.organization.num}/results/`,
        })
        return listed.objects.length
      })
      .toBe(1)
  })

  it.each(['docker.io/library/nginx:1', 'nginx', 'other.test/team/app:1.0', 'team/app:1.0'])(
    'of an image of another host is refused: %s',
    async (ref) => {
      const { ours, sensor } = await aSensor()
      const answer = await upload(sensor, envelope(ref))
      expect(refused(answer)).toEqual({ status: 400, code: 'validation_error' })
      expect(answer.body.error).toContain('image.ref')
      expect(await imagesOf(ours)).toEqual([])
    },
  )

  it('of an image beside the path of its registry is refused', async () => {
    const ours = await anOrganization()
    const registry = await connected(ours, 'open', { scanMethod: 'sensor' })
    const narrow = await ours.post('/api/registries', {
      ...{
        name: 'narrow',
        provider: 'CUSTOM',
        url: `${registry.host}/team`,
        insecure: true,
        scanMethod: 'sensor',
      },
    })
    const sensor = caller(narrow.body.data.sensorApiKey)
    expect(refused(await upload(sensor, envelope(`${registry.host}/other/app:1`)))).toMatchObject({
      status: 400,
    })
    expect((await upload(sensor, envelope(`${registry.host}/team/app:1`))).status).toBe(201)
  })

  it.each([
    ['image.ref', { image: { ref: 'Not A Ref' } }],
    ['image.ref', { image: { ref: 'a.test/app:1; rm -rf /' } }],
    ['image.ref', { image: null }],
    ['image.ref', { image: { ref: 7 } }],
    ['scan.id', { scan: { id: '' } }],
    ['scan.id', { scan: { id: 'x'.repeat(201) } }],
    ['scan.id', { scan: { id: 7 } }],
  ])('is refused by %s', async (path, more) => {
    const { registry, sensor } = await aSensor()
    const answer = await upload(sensor, { ...envelope(`${registry.host}/team/app:1.0`), ...more })
    expect(refused(answer)).toEqual({ status: 400, code: 'validation_error' })
    expect(answer.body.error).toContain(path)
  })

  it("under another organization's job id is a scan of its own, and the job is untouched", async () => {
    const theirs = await aSensor()
    const { ours, registry, sensor } = await aSensor()
    const first = await upload(theirs.sensor, envelope(`${theirs.registry.host}/team/app:1.0`))
    const wireId = `${theirs.ours.organization.shard}-${theirs.ours.organization.num.toString(36)}-${first.body.scanId}`
    const answer = await upload(sensor, envelope(`${registry.host}/team/app:1.0`, { id: wireId }))
    expect(answer.status).toBe(201)
    expect(answer.body.scanId).not.toBe(first.body.scanId)
    expect(await scanOf(theirs.ours, first.body.scanId)).toMatchObject({ status: 'IN_PROGRESS' })
    await ingest(ours, answer.body.scanId)
    expect(await scanOf(ours, answer.body.scanId)).toMatchObject({ status: 'COMPLETE' })
  })

  it('of the same id in two organizations is two scans', async () => {
    const [a, b] = [await aSensor(), await aSensor()]
    const id = uuid()
    const one = await upload(a.sensor, envelope(`${a.registry.host}/team/app:1.0`, { id }))
    const other = await upload(b.sensor, envelope(`${b.registry.host}/team/app:1.0`, { id }))
    expect([one.status, other.status]).toEqual([201, 201])
    expect(one.body.scanId).not.toBe(other.body.scanId)
  })

  it('that is FAILED is a failed scan', async () => {
    const { ours, registry, sensor } = await aSensor()
    const document = envelope(`${registry.host}/team/app:1.0`, {
      status: 'FAILED',
      trivy: null,
      grype: null,
      syft: null,
    })
    const { body } = await upload(sensor, document)
    await ingest(ours, body.scanId)
    expect(await scanOf(ours, body.scanId)).toMatchObject({
      status: 'FAILED',
      reason: { code: 'all_engines_failed' },
    })
  })

  it('whose digest nobody knows shows none', async () => {
    const { ours, registry, sensor } = await aSensor()
    const { body } = await upload(sensor, envelope(`${registry.host}/team/app:1.0`, { digest: undefined }))
    await ingest(ours, body.scanId)
    expect(await scanOf(ours, body.scanId)).toMatchObject({ status: 'COMPLETE', digest: null })
    expect((await imagesOf(ours))[0]).toMatchObject({ latestTag: '1.0', latestDigest: null, grade: 'D' })
    expect(JSON.stringify(await (await ours.get('/api/vulnerabilities?limit=50')).body)).not.toContain(
      'tag:1.0',
    )
  })

  it('that was deleted can be uploaded again', async () => {
    const { ours, registry, sensor } = await aSensor()
    const document = envelope(`${registry.host}/team/app:1.0`)
    const { body } = await upload(sensor, document)
    await ingest(ours, body.scanId)
    expect((await ours.delete(`/api/scans/${body.scanId}`)).status).toBe(200)
    expect((await upload(sensor, document)).status).toBe(201)
    await ingest(ours, body.scanId)
    expect(await scanOf(ours, body.scanId)).toMatchObject({ status: 'COMPLETE' })
  })

  it('to a registry that is being removed is refused, and nothing of it is left', async () => {
    const { ours, registry, sensor } = await aSensor()
    await ours.db.run({
      sql: "UPDATE registries SET status = 'DELETING' WHERE org = ? AND id = ?",
      params: [ours.organization.num, registry.id],
    })
    expect(refused(await upload(sensor, envelope(`${registry.host}/team/app:1.0`)))).toMatchObject({
      status: 409,
    })
    expect((await ours.get('/api/scans')).body.meta.total).toBe(0)
  })

  it('costs three round trips and a bounded number of rows, the repetition two and none written', async () => {
    const { registry, sensor } = await aSensor()
    const document = envelope(`${registry.host}/team/app:1.0`)
    await upload(sensor, envelope(`${registry.host}/team/app:1.0`)) // the key's first use of the hour is a write of its own
    const first = await upload(sensor, document)
    expect(first.status).toBe(201)
    expect(first.meter.trips).toBe(3) // credential; scan and registry; the batch
    expect(first.meter.written).toBeLessThanOrEqual(20)
    expect(first.meter.read, first.headers.get('Server-Timing')!).toBeLessThanOrEqual(40)
    const again = await upload(sensor, document)
    expect(again.meter.trips).toBe(2)
    expect(again.meter.written).toBe(0)
  })
})

describe("a stand-alone upload with an organization's key", () => {
  it('lands in the registry that holds the image', async () => {
    const ours = await anOrganization()
    const registry = await connected(ours)
    const client = await ours.as('ci')
    const { status, body } = await upload(client, envelope(`${registry.host}/team/app:1.0`))
    expect(status).toBe(201)
    await ingest(ours, body.scanId)
    expect((await imagesOf(ours))[0]).toMatchObject({
      registryId: registry.id,
      name: `${registry.host}/team/app`,
      grade: 'D',
    })
  })

  it('of several registries that fit alike lands in the first connected', async () => {
    const ours = await anOrganization()
    const first = await connected(ours)
    const second = await ours.post('/api/registries', {
      ...{ name: 'again', provider: 'CUSTOM', url: first.host, insecure: true, schedule: 'manual' },
    })
    expect(second.status).toBe(201)
    const client = await ours.as('ci')
    expect((await upload(client, envelope(`${first.host}/team/app:1.0`))).status).toBe(201)
    expect((await imagesOf(ours)).map(({ registryId }) => registryId)).toEqual([first.id])
  })

  it('of no connected registry lands in one called uploads, under its true name', async () => {
    const ours = await anOrganization()
    const client = await ours.as('ci')
    const { status, body } = await upload(client, envelope('ghcr.io/acme/api:1.2'))
    expect(status).toBe(201)
    await ingest(ours, body.scanId)
    const [registry, ...more] = (await ours.get('/api/registries')).body.data
    expect(more).toEqual([])
    expect(registry).toMatchObject({
      name: 'uploads',
      provider: 'CUSTOM',
      hasCredentials: false,
      schedule: 'manual',
      imageCount: 1,
    })
    const [image] = await imagesOf(ours)
    expect(image).toMatchObject({
      id: body.imageId,
      name: 'ghcr.io/acme/api',
      registryId: registry.id,
      latestTag: '1.2',
      grade: 'D',
    })
    const findings = (await ours.get(`/api/images/${image.id}/vulnerabilities`)).body.data
    expect(findings[0].image.name).toBe('ghcr.io/acme/api')
    expect(await scanOf(ours, body.scanId)).toMatchObject({
      status: 'COMPLETE',
      image: 'ghcr.io/acme/api:1.2',
    })
  })

  it('makes that registry once, however many come at once, and keeps images of one name on two hosts apart', async () => {
    const ours = await anOrganization()
    const client = await ours.as('developer')
    const refs = ['a.test/app:1', 'b.test/app:1', 'nginx', 'c.test:5000/deep/er/app:1']
    const answers = await Promise.all(refs.map((ref) => upload(client, envelope(ref))))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    expect((await ours.get('/api/registries')).body.data).toHaveLength(1)
    expect((await imagesOf(ours)).map(({ name }) => name)).toEqual([
      ...['a.test/app', 'b.test/app', 'c.test:5000/deep/er/app', 'docker.io/library/nginx'],
    ])
    const audited = await ours.db.all({
      sql: "SELECT 1 FROM audit_log WHERE org = ? AND action = 'registry.added'",
      params: [ours.organization.num],
    })
    expect(audited).toHaveLength(1)
  })

  it('never makes that registry a place to pull from', async () => {
    const ours = await anOrganization()
    await upload(await ours.as('ci'), envelope('ghcr.io/acme/api:1.2'))
    const [registry] = (await ours.get('/api/registries')).body.data
    for (const ref of ['ghcr.io/acme/api:1.2', 'uploads/acme/api:1.2', 'Uploads/acme/api:1']) {
      expect(await ours.post('/api/scans', { image: ref, scanners: ['trivy'] })).toBeProblem(
        400,
        'VALIDATION_ERROR',
      )
    }
    expect(await ours.post(`/api/registries/${registry.id}/sync`)).toBeProblem(409, 'CONFLICT')
    const change = { scanning: { method: 'cloud' } }
    expect(await ours.put(`/api/registries/${registry.id}`, change)).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('needs the role ci', async () => {
    const ours = await anOrganization()
    const answer = await upload(await ours.as('viewer'), envelope('ghcr.io/acme/api:1.2'))
    expect(answer.status).toBe(403)
  })

  it("of a cloud runner's key is no scan of anybody", async () => {
    const runner = await aHttpRunner()
    const answer = await upload(runner, envelope('ghcr.io/acme/api:1.2'))
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
  })
})
