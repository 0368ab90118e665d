import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { shardNames } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import type { Job } from '../../src/scanning/sensors/protocol.ts'
import type { FakeMode } from '../fake-registry.ts'
import { type Answer, anOrganization, caller, type TestOrganization, theOperator } from '../world.ts'
import { deliver } from './deliver.ts'
import { aCompleteScan, aHttpRunner, ask, connected, dispatched, poll, putText, send } from './over-http.ts'
import { emptyPools, resultFor } from './world.ts'

describe('scans over HTTP', () => {
  let ours: TestOrganization

  beforeEach(async () => {
    await emptyPools()
    ours = await anOrganization()
  })

  it('answers POST with the documented bare reply and a Location', async () => {
    const { host } = await connected(ours)
    const ci = await ours.as('ci')
    await ci.get('/api/scans')
    const asked = await ask(ci, `${host}/team/app:1.0`)
    expect(asked.status).toBe(202)
    expect(asked.body).toEqual({
      scanId: expect.stringMatching(/^scn_/),
      status: 'PENDING',
      message: expect.any(String),
      url: `/dashboard/scans/${asked.body.scanId}`,
    })
    expect(asked.headers.get('Location')).toBe(`/api/scans/${asked.body.scanId}`)
    expect(asked.headers.get('X-RateLimit-Limit')).toBe('10')
    expect(asked.meter.trips).toBeLessThanOrEqual(3)
  })

  it('goes the whole way from request to findings', async () => {
    const { host, id: registryId } = await connected(ours)
    const runner = await aHttpRunner()
    const { scanId, sbom, raw, sbomDigest } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
    const scan = (await ours.get(`/api/scans/${scanId}`)).body.data
    expect(scan).toMatchObject({
      id: scanId,
      image: `${host}/team/app:1.0`,
      status: 'COMPLETE',
      partial: false,
      reason: null,
      platform: 'linux/amd64',
    })
    expect(scan.engines.map((engine: { status: string }) => engine.status)).toEqual(
      Array(3).fill('succeeded'),
    )
    expect(scan.layers).toHaveLength(5)
    const findings = (await ours.get(`/api/scans/${scanId}/vulnerabilities`)).body
    expect(findings.meta.total).toBe(9)
    const { critical, high, medium, low, unknown } = scan.counts
    expect(critical + high + medium + low + unknown).toBe(9)
    const status = (await ours.get(`/api/scans/${scanId}/status`)).body.data
    expect(status).toMatchObject({ status: 'COMPLETE', phase: 'done', progress: 100 })
    const image = (await ours.get(`/api/images/${scan.imageId}`)).body.data
    expect(image).toMatchObject({ name: `${host}/team/app`, registryId, riskScore: scan.riskScore })
    const downloaded = await ours.get(`/api/scans/${scanId}/sbom`)
    expect(downloaded.text).toBe(sbom)
    expect(downloaded.headers.get('Content-Type')).toBe('application/vnd.cyclonedx+json; version=1.5')
    expect(downloaded.headers.get('ETag')).toBe(`"${sbomDigest}"`)
    expect(downloaded.headers.get('Content-Disposition')).toContain(`${scanId}.cdx.json`)
    expect(downloaded.meter.trips).toBe(2)
    const again = await ours.get(`/api/scans/${scanId}/sbom`, { 'If-None-Match': `W/"x", "${sbomDigest}"` })
    expect([again.status, again.text]).toEqual([304, ''])
    expect((await ours.get(`/api/scans/${scanId}/raw/trivy`)).text).toBe(raw)
    expect(await ours.get(`/api/scans/${scanId}/raw/grype`)).toBeProblem(404, 'NOT_FOUND')
    expect(await ours.get(`/api/scans/${scanId}/sbom?format=spdx`)).toBeProblem(404, 'NOT_FOUND')
    expect(await ours.get(`/api/scans/${scanId}/sbom?format=pdf`)).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('keeps claim, heartbeat, blob and upload within their round trips and rows', async () => {
    const { host } = await connected(ours, 'basic')
    const runner = await aHttpRunner()
    await poll(runner) // takes back the hints that other tests left
    const scanId = await dispatched(ours, `${host}/team/app:1.0`)
    const pollAgain = () => runner.get(`/api/agent/jobs?agentId=${runner.agentId}`)
    let claimed = await pollAgain()
    for (let left = 5; left > 0 && !claimed.body.jobs[0]?.id.includes(scanId); left--)
      claimed = await pollAgain()
    const job = claimed.body.jobs[0] as Job
    expect(job.credentials).toEqual(expect.any(String))
    const heartbeat = await runner.post('/api/agent/heartbeat', {
      agentId: runner.agentId,
      jobs: [{ id: job.id, fence: 1, progress: { phase: 'scanning', progress: 50, engines: [] } }],
    })
    expect(heartbeat.body.jobs[0].leaseSeconds).toBeGreaterThan(100)
    const blob = await putText(runner, job, '{"a":1}')
    expect(blob.status).toBe(201)
    const uploaded = await send(runner, resultFor(job))
    const cost = { claimed, heartbeat, blob, uploaded }
    const trips = Object.fromEntries(Object.entries(cost).map(([name, { meter }]) => [name, meter.trips]))
    const written = Object.fromEntries(Object.entries(cost).map(([name, { meter }]) => [name, meter.written]))
    const otherShards = shardNames(env as unknown as Env).length - 1 // asked once each what the runner holds there
    expect(trips.claimed).toBeLessThanOrEqual(3 + otherShards)
    expect(trips.heartbeat).toBeLessThanOrEqual(2)
    expect(trips.blob).toBeLessThanOrEqual(2)
    expect(trips.uploaded).toBeLessThanOrEqual(2)
    for (const rows of Object.values(written)) expect(rows).toBeLessThanOrEqual(10)
  })

  it('asks for the same scan once for one Idempotency-Key', async () => {
    const { host } = await connected(ours)
    const body = { image: `${host}/team/app:1.0`, scanners: ['trivy'] }
    const first = await ours.post('/api/scans', body, { 'Idempotency-Key': 'k' })
    const second = await ours.post('/api/scans', body, { 'Idempotency-Key': 'k' })
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('Idempotency-Replayed')).toBe('true')
    const other = { ...body, scanners: ['grype'] }
    expect(await ours.post('/api/scans', other, { 'Idempotency-Key': 'k' })).toBeProblem(409, 'CONFLICT')
    expect((await ours.get('/api/scans')).body.meta.total).toBe(1)
  })

  it('refuses what is not an image, an engine or a known field', async () => {
    const { host } = await connected(ours)
    const scanners = ['trivy']
    const refused: [Record<string, unknown>, string][] = [
      [{ image: `${host}/team/app:1.0;id`, scanners }, 'image'],
      [{ image: `${host}/team/app 1.0`, scanners }, 'image'],
      [{ image: `https://${host}/team/app`, scanners }, 'image'],
      [{ image: '169.254.169.254/latest/meta-data', scanners }, 'image'],
      [{ image: 'nobody.example.com/team/app', scanners }, 'image'],
      [{ image: 'nginx', scanners }, 'image'],
      [{ image: `${host}/team/app:1.0`, scanners: ['nessus'] }, 'scanners.0'],
      [{ image: `${host}/team/app:1.0`, scanners: [] }, 'scanners'],
      [{ image: `${host}/team/app:1.0`, scanners, platform: 'amiga' }, 'platform'],
      [{ image: `${host}/team/app:1.0`, scanners, registryId: 'reg_nobody' }, 'registryId'],
      [{ image: `${host}/team/app:1.0`, scanners, colour: 'red' }, 'colour'],
      [{ image: 7, scanners }, 'image'],
      [{ scanners }, 'image'],
    ]
    const answers: Answer[] = []
    for (const [body] of refused) {
      const headers: Record<string, string> = { 'CF-Connecting-IP': `198.51.100.${answers.length}` }
      answers.push(await ours.post('/api/scans', body, headers))
    }
    for (const [index, answer] of answers.entries()) {
      expect(answer, JSON.stringify(refused[index]![0])).toBeProblem(400, 'VALIDATION_ERROR')
      expect(answer.body.error.issues[0].path).toBe(refused[index]![1])
    }
    expect(answers[4]!.body.error.message).toContain('nobody.example.com')
    expect((await ours.get('/api/scans')).body.meta.total).toBe(0)
  })

  it("says no to another organization's registry as to an unknown one", async () => {
    const theirs = await anOrganization()
    const { host } = await connected(ours)
    const foreign = await connected(theirs)
    const image = `${host}/team/app:1.0`
    const hidden = await ask(ours, image, { registryId: foreign.id })
    const unknown = await ask(ours, image, { registryId: 'reg_00000000000000000000' })
    expect(hidden).toBeProblem(400, 'VALIDATION_ERROR')
    expect(hidden.body).toEqual(unknown.body)
    expect(await ask(ours, `${foreign.host}/team/app:1.0`)).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('settles a tie of registries by registryId', async () => {
    const first = await connected(ours)
    const again = await ours.post('/api/registries', {
      name: 'again',
      provider: 'CUSTOM',
      url: first.host,
      insecure: true,
    })
    const image = `${first.host}/team/app:1.0`
    const tie = await ask(ours, image)
    expect(tie).toBeProblem(400, 'VALIDATION_ERROR')
    expect(tie.body.error.issues.map((issue: { path: string }) => issue.path)).toContain('registryId')
    expect((await ask(ours, image, { registryId: again.body.data.id })).status).toBe(202)
  })

  it('ends a scan FAILED with a reason for what the registry says', async () => {
    const cases: [FakeMode, string, string][] = [
      ['open', 'team/app:missing', 'image_not_found'],
      ['open', 'team/worker:2.0', ''],
      ['html', 'team/app:1.0', 'registry_invalid_reply'],
      ['down', 'team/app:1.0', 'registry_unreachable'],
      ['slow', 'team/app:1.0', 'registry_unreachable'],
      ['limited', 'team/app:1.0', 'registry_rate_limited'],
      ['error', 'team/app:1.0', 'registry_error'],
    ]
    for (const [mode, image, code] of cases) {
      const { host } = await connected(ours, mode)
      const { scanId } = (await ask(ours, `${host}/${image}`)).body
      const message = { kind: 'scan.dispatch', org: ours.organization.num, scanId } as const
      const delivered = await deliver(message, 4)
      expect(delivered.explicitAcks, mode).toEqual(['m'])
      const scan = (await ours.get(`/api/scans/${scanId}`)).body.data
      expect([mode, scan.status, scan.reason?.code ?? '']).toEqual([mode, code ? 'FAILED' : 'PENDING', code])
    }
  })

  it('tries a registry that is down again before it gives up', async () => {
    const { host } = await connected(ours, 'error')
    const { scanId } = (await ask(ours, `${host}/team/app:1.0`)).body
    const first = await deliver({ kind: 'scan.dispatch', org: ours.organization.num, scanId })
    expect(first.retryMessages).toHaveLength(1)
    expect((await ours.get(`/api/scans/${scanId}`)).body.data.status).toBe('PENDING')
  })

  it('lists by status under both names, by image, and in every order', async () => {
    const { host } = await connected(ours)
    const runner = await aHttpRunner()
    const { scanId } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
    await ask(ours, `${host}/team/worker:2.0`)
    const ids = async (query: string) =>
      (await ours.get(`/api/scans?${query}`)).body.data.map((scan: { id: string }) => scan.id)
    expect(await ids('status=COMPLETE')).toEqual([scanId])
    expect(await ids('status=COMPLETED')).toEqual([scanId])
    expect(await ids('status=QUEUED')).toEqual(await ids('status=PENDING'))
    expect(await ids('status=QUEUED')).toHaveLength(1)
    expect(await ids('search=TEAM%2Fapp')).toEqual([scanId])
    for (const sort of ['scannedAt', 'status', 'compliance', 'riskScore']) {
      for (const direction of ['asc', 'desc']) {
        const page = (await ours.get(`/api/scans?limit=1&sort=${sort}:${direction}`)).body
        const rest = (await ours.get(page.links.next)).body
        expect([page.meta.total, page.data.length, rest.data.length, rest.meta.hasNext]).toEqual([
          2,
          1,
          1,
          false,
        ])
        expect(page.data[0].id).not.toBe(rest.data[0].id)
      }
    }
    expect(await ours.get('/api/scans?status=SLEEPING')).toBeProblem(400, 'VALIDATION_ERROR')
  })

  it('cancels what runs and deletes what has ended, for admins only', async () => {
    const { host } = await connected(ours)
    const runner = await aHttpRunner()
    const running = await dispatched(ours, `${host}/team/app:1.1`)
    expect(await (await ours.as('developer')).delete(`/api/scans/${running}`)).toBeProblem(403, 'FORBIDDEN')
    const job = await poll(runner)
    expect((await ours.delete(`/api/scans/${running}`)).body.data).toEqual({ id: running, deleted: false })
    const cancelled = (await ours.get(`/api/scans/${running}`)).body.data
    expect(cancelled.status).toBe('CANCELLED')
    const engines = cancelled.engines as { status: string }[]
    expect(new Set(engines.map(({ status }) => status))).toEqual(new Set(['skipped']))
    const beat = await runner.post('/api/agent/heartbeat', { jobs: [{ id: job.id, fence: 1 }] })
    expect(beat.body.jobs).toEqual([{ id: job.id, leaseSeconds: 0, cancel: true }])
    const { scanId, sbomDigest } = await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
    expect((await ours.delete(`/api/scans/${scanId}`)).body.data).toEqual({ id: scanId, deleted: true })
    expect(await ours.get(`/api/scans/${scanId}`)).toBeProblem(404, 'NOT_FOUND')
    const bucket = (env as unknown as Env).ARTIFACTS
    await vi.waitFor(async () => {
      expect(await bucket.head(`orgs/${ours.organization.num}/sha256/${sbomDigest}`)).toBeNull()
    })
    expect((await ours.get('/api/vulnerabilities')).body.meta.total).toBe(9)
  })

  it("hides another organization's scan as not found", async () => {
    const theirs = await anOrganization()
    const { host } = await connected(theirs)
    const foreign = (await ask(theirs, `${host}/team/app:1.0`)).body.scanId
    for (const path of ['', '/status', '/vulnerabilities', '/raw/trivy', '/sbom']) {
      const hidden = await ours.get(`/api/scans/${foreign}${path}`)
      const random = await ours.get(`/api/scans/scn_00000000000000000000${path}`)
      expect(hidden).toBeProblem(404, 'NOT_FOUND')
      expect(hidden.body).toEqual(random.body)
    }
    expect(await ours.delete(`/api/scans/${foreign}`)).toBeProblem(404, 'NOT_FOUND')
    expect((await theirs.get(`/api/scans/${foreign}`)).body.data.status).toBe('PENDING')
  })

  it('starts the scheduled scans of every tag now, and none twice', async () => {
    const { host, id: registryId } = await connected(ours, 'open', { schedule: 'daily' })
    const runner = await aHttpRunner()
    await aCompleteScan(ours, runner, `${host}/team/app:1.0`)
    const started = await ours.post('/api/registries/schedule-scans')
    expect(started.status).toBe(202)
    expect(started.body.data).toEqual({ registries: [registryId] })
    const message = {
      kind: 'registry.schedule',
      org: ours.organization.num,
      registryId,
      after: null,
    } as const
    await deliver(message)
    await deliver(message)
    const scans = (await ours.get('/api/scans?search=app%3A1.0')).body
    expect(scans.meta.total).toBe(2)
  })
})

describe('runner routes over HTTP', () => {
  beforeEach(emptyPools)

  it('take either header and doubled slashes, and never redirect', async () => {
    const key = (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
    const body = JSON.stringify({ name: 'r', version: '1', capabilities: ['scan'] })
    const headers = { 'Content-Type': 'application/json' }
    const answers = [
      await caller(key).send('POST', '//api/agent/register', { body, headers }),
      await caller(null).send('POST', '/api/agent/register/', {
        body,
        headers: { ...headers, 'X-API-Key': key },
      }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[0]!.body.agentId).toBe(answers[1]!.body.agentId)
  })

  it('give one agent to each key and public key', async () => {
    const key = (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
    const [first, second] = [await aHttpRunner(key), await aHttpRunner(key)]
    expect(first.agentId).not.toBe(second.agentId)
    const foreign = await aHttpRunner()
    const answer = await foreign.get(`/api/agent/jobs?agentId=${first.agentId}`)
    expect([answer.status, answer.body.code]).toEqual([404, 'unknown_agent'])
  })

  it('refuse API keys below the role ci, and people’s routes refuse runner keys', async () => {
    const ours = await anOrganization()
    expect((await (await ours.as('viewer')).get('/api/agent/jobs?agentId=x')).status).toBe(403)
    expect((await (await ours.as('auditor')).get('/api/agent/jobs?agentId=x')).status).toBe(403)
    for (const role of ['ci', 'developer']) {
      expect((await (await ours.as(role)).get('/api/agent/jobs?agentId=x')).body).toEqual({ jobs: [] })
    }
    const runner = await aHttpRunner()
    expect(await runner.get('/api/scans')).toBeProblem(403, 'FORBIDDEN')
    expect((await caller(null).get('/api/agent/jobs')).body).toEqual({
      error: expect.any(String),
      code: 'unauthorized',
    })
  })

  it("hand a sensor its registry's jobs only, and a cloud runner none of a sensor's", async () => {
    const ours = await anOrganization()
    const cloud = await connected(ours)
    const sensored = await connected(ours, 'open', { scanMethod: 'sensor' })
    const [sensor, runner] = [await aHttpRunner(sensored.sensorApiKey), await aHttpRunner()]
    const mine = await dispatched(ours, `${sensored.host}/team/app:1.0`)
    const other = await dispatched(ours, `${cloud.host}/team/app:1.0`)
    const [sensorJob, cloudJob] = [await poll(sensor), await poll(runner)]
    expect(sensorJob.id).toContain(mine)
    expect(sensorJob.digest).toBeNull()
    expect(sensorJob.scan.imageRef).toBe(`${sensored.host}/team/app:1.0`)
    expect(cloudJob.id).toContain(other)
    const taken = await sensor.post('/api/agent/heartbeat', { jobs: [{ id: cloudJob.id, fence: 1 }] })
    expect(taken.body.jobs[0].leaseSeconds).toBe(0)
  })

  it('answer a heartbeat that names no job with 204', async () => {
    const runner = await aHttpRunner()
    const beat = await runner.post('/api/agent/heartbeat', { agentId: runner.agentId, status: 'idle' })
    expect([beat.status, beat.text]).toEqual([204, ''])
  })

  it('store a blob once and refuse one that is not what its address says', async () => {
    const ours = await anOrganization()
    const { host } = await connected(ours)
    const runner = await aHttpRunner()
    await dispatched(ours, `${host}/team/app:1.0`)
    const job = await poll(runner)
    expect((await putText(runner, job, '{"x":1}')).status).toBe(201)
    expect((await putText(runner, job, '{"x":1}')).status).toBe(200)
    const wrong = await runner.send('PUT', `/api/agent/jobs/${job.id}/blobs/${'0'.repeat(64)}?fence=1`, {
      body: '{}',
      headers: { 'Content-Length': '2' },
    })
    expect([wrong.status, wrong.body.code]).toEqual([400, 'digest_mismatch'])
    const late = await putText(runner, job, '{"y":1}', 2)
    expect([late.status, late.body.code]).toEqual([409, 'lease_lost'])
  })

  it('refuse bodies over the limit and of another media type', async () => {
    const runner = await aHttpRunner()
    const huge = { 'Content-Length': String(91 * 1024 * 1024), 'Content-Type': 'application/json' }
    const upload = await runner.send('POST', '/api/scans/upload', { body: '{}', headers: huge })
    expect(upload.status).toBe(413)
    const text = await runner.send('POST', '/api/scans/upload', {
      body: '{}',
      headers: { 'Content-Type': 'text/plain' },
    })
    expect(text.status).toBe(415)
    const old = await send(runner, { version: '1.0', findings: {} })
    expect([old.status, old.body.error]).toEqual([400, expect.stringContaining('1.1')])
  })
})
