import { compactDecrypt, exportJWK, generateKeyPair } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { newId } from '../../src/ids.ts'
import { engineBits } from '../../src/scanning/engine-bits.ts'
import { listScans } from '../../src/scanning/scans/read.ts'
import { claimJob } from '../../src/scanning/sensors/claim.ts'
import { PublicJwk } from '../../src/scanning/sensors/protocol.ts'
import { aFakeRegistry, FAKE_CREDENTIALS } from '../fake-registry.ts'
import { anOrganization, caller, theOperator } from '../world.ts'
import { deliver } from './deliver.ts'
import { aRunner, aScan, aWorld, baseAt, emptyPools, resultFor, T0, type World } from './world.ts'

/** Ended scans of every kind, written directly. */
const fill = (world: World, from: number, to: number) =>
  world.rows(
    `INSERT INTO scans (id, org, registry_id, image, repository, trigger, priority, scanners, status, compliance, risk,
                        requested_by, created_at, scanned_at)
     SELECT 'scn_' || printf('%020d', value), ?, ?, 'r.test/team/app' || (value % 7) || ':1', 'team/app', 'manual', 0,
            '["trivy"]', CASE value % 10 WHEN 0 THEN 'FAILED' ELSE 'COMPLETE' END,
            CASE value % 10 WHEN 0 THEN NULL ELSE substr('ABCD', 1 + value % 4, 1) END,
            CASE value % 10 WHEN 0 THEN NULL ELSE value % 100 END, 'key', ?, ? + value
       FROM (WITH RECURSIVE n(value) AS (SELECT ? UNION ALL SELECT value + 1 FROM n WHERE value < ?) SELECT value FROM n)`,
    world.organization.num,
    world.registryId,
    T0,
    T0,
    from,
    to - 1,
  )

describe('reading scans', () => {
  const LISTS = ['scannedAt', 'status', 'compliance', 'riskScore'].flatMap((column) =>
    ['asc', 'desc'].map((direction) => `sort=${column}:${direction}`),
  )
  const FILTERED = ['status=FAILED', 'status=FAILED&sort=status:desc', 'status=COMPLETE&sort=scannedAt:asc']

  it('reads a page’s rows in every order and by status, on page 1 and behind its link, at ten times the scans', async () => {
    const world = await aWorld()
    const costs: number[][] = []
    for (const [from, to] of [
      [0, 300],
      [300, 3000],
    ] as const) {
      await fill(world, from, to)
      const read = []
      for (const query of [...LISTS, ...FILTERED]) {
        const first = await cost(world, `/api/scans?limit=20&${query}`)
        const second = await cost(world, first.next)
        const third = await cost(world, second.next)
        const counted = query.startsWith('status=') ? first.total : 1
        read.push(first.read - counted, second.read, third.read)
      }
      costs.push(read)
    }
    for (const read of costs) for (const rows of read) expect(rows).toBeLessThanOrEqual(4 * 20 + 20)
  })

  it('looks through the organization’s scans once for a search', async () => {
    const world = await aWorld()
    await fill(world, 0, 1000)
    const found = await cost(world, '/api/scans?limit=20&search=app3')
    expect(found.total).toBe(143)
    expect(found.read).toBeLessThanOrEqual(1.5 * 1000 + 4 * 20)
  })

  async function cost(world: World, url: string) {
    const ctx = world.at(T0)
    const page = await listScans(ctx, `https://api.test${url}`)
    expect(ctx.db.meter.roundTrips).toBe(1)
    return { read: ctx.db.meter.rowsRead, next: page.links.next!, total: page.meta.total }
  }
})

describe('claiming', () => {
  beforeEach(emptyPools)

  it('reads and writes few rows whatever the length of the queue', async () => {
    const world = await aWorld('sensor')
    const runner = await aRunner({ world })
    const costs = []
    for (const waiting of [5, 50]) {
      for (let i = 0; i < waiting; i++) await aScan(world, { image: `team/app${waiting}-${i}:1` })
      const base = baseAt(T0)
      const job = await claimJob(
        base,
        runner.identity,
        runner.agentId,
        engineBits(['trivy', 'grype', 'syft']),
        { labels: [], concurrency: 2, unfenced: false },
      )
      expect(job).not.toBeNull()
      const { roundTrips, rowsRead, rowsWritten } = base.directory.meter
      costs.push({ roundTrips, rowsRead, rowsWritten })
    }
    for (const { roundTrips, rowsRead, rowsWritten } of costs) {
      expect(roundTrips).toBe(1)
      expect(rowsRead).toBeLessThanOrEqual(20)
      expect(rowsWritten).toBeLessThanOrEqual(10)
    }
  })

  it('costs the same with 10,000 jobs queued as with 1,000', async () => {
    const world = await aWorld('sensor')
    await aScan(world, { image: 'team/app:1' })
    const costs = []
    for (const [from, to] of [
      [1, 1000],
      [1000, 10_000],
    ] as const) {
      await queueCopies(world, from, to)
      const runner = await aRunner({ world }) // one that holds no job yet
      const base = baseAt(T0 + from) // no two leases end at the same moment
      const engines = engineBits(['trivy', 'grype', 'syft'])
      const terms = { labels: [], concurrency: 2, unfenced: false }
      expect(await claimJob(base, runner.identity, runner.agentId, engines, terms)).not.toBeNull()
      costs.push({ ...base.directory.meter })
    }
    expect(costs[1]).toMatchObject({ roundTrips: 1, rowsWritten: costs[0]!.rowsWritten })
    expect(costs[1]!.rowsRead).toBeLessThanOrEqual(costs[0]!.rowsRead + 1) // a lease that is out already
    expect(costs[1]!.rowsRead).toBeLessThanOrEqual(20)
    expect(costs[1]!.rowsWritten).toBeLessThanOrEqual(10)
  })

  /** Scans and jobs like the organization's first, behind it in the queue. */
  async function queueCopies(world: World, from: number, to: number) {
    const copies = `WITH RECURSIVE copies(n) AS (SELECT ?2 UNION ALL SELECT n + 1 FROM copies WHERE n < ?3 - 1)`
    const id = "printf('scn_q%019d', n)"
    await world.rows(
      `${copies} INSERT INTO scans (id, org, registry_id, image, repository, tag, trigger, priority, scanners, status,
          job_id, requested_by, created_at, deadline_at)
        SELECT ${id}, org, registry_id, image || n, repository, tag, trigger, priority, scanners, 'PENDING', ${id},
          requested_by, created_at, deadline_at
        FROM copies CROSS JOIN (SELECT * FROM scans WHERE org = ?1 AND id NOT LIKE 'scn_q0%' LIMIT 1)`,
      ...[world.organization.num, from, to],
    )
    await world.rows(
      `${copies} INSERT INTO jobs (id, org, scan_id, registry_id, pool, state, priority, rank, wanted, needs, phase,
          progress, created_at, updated_at)
        SELECT ${id}, org, ${id}, registry_id, pool, 'queued', priority, rank + n, wanted, needs, 'queued', 0,
          created_at, updated_at
        FROM copies CROSS JOIN (SELECT * FROM jobs WHERE org = ?1 AND id NOT LIKE 'scn_q0%' LIMIT 1)`,
      ...[world.organization.num, from, to],
    )
  }
})

describe('credentials', () => {
  beforeEach(emptyPools)

  it('leave sealed to the runner’s own key, for its job, lease and host, and nowhere else', async () => {
    const ours = await anOrganization()
    const { host } = await aFakeRegistry('basic')
    const connected = await ours.post('/api/registries', {
      name: 'basic',
      provider: 'DOCKER_REGISTRY',
      url: host,
      insecure: true,
      scanMethod: 'sensor',
      credentials: FAKE_CREDENTIALS,
    })
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
    const sensor = caller(connected.body.data.sensorApiKey)
    const { agentId } = (
      await sensor.post('/api/agent/register', {
        name: 'sensor',
        version: '1.0.0',
        scannerVersions: { trivy: '1' },
        capabilities: ['scan', 'lease', 'sealed-credentials'],
        publicKey: PublicJwk.parse(await exportJWK(publicKey)),
      })
    ).body
    const asked = await ours.post('/api/scans', { image: `${host}/team/app:1.0`, scanners: ['trivy'] })
    const { scanId } = asked.body
    await deliver({ kind: 'scan.dispatch', org: ours.organization.num, scanId })
    const polled = await sensor.get(`/api/agent/jobs?agentId=${agentId}`)
    const [job] = polled.body.jobs
    expect(polled.text).not.toContain(FAKE_CREDENTIALS.password)
    const { plaintext, protectedHeader } = await compactDecrypt(job.credentials, privateKey)
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(FAKE_CREDENTIALS)
    expect(protectedHeader).toMatchObject({ job: job.id, fence: 1, runner: agentId, host })
    const lifetime = (protectedHeader.exp as number) - Date.now() / 1000
    expect(lifetime).toBeGreaterThan(60)
    expect(lifetime).toBeLessThanOrEqual(300)
    const scan = await ours.get(`/api/scans/${scanId}`)
    expect(scan.text).not.toContain(FAKE_CREDENTIALS.password)
  })
})

describe('uploading', () => {
  beforeEach(emptyPools)

  it('passes a result larger than its head on as a stream, and ingests what was sent', async () => {
    const ours = await anOrganization()
    const { host } = await aFakeRegistry('open')
    const connection = { name: 'r', provider: 'CUSTOM', url: host, insecure: true, schedule: 'manual' }
    await ours.post('/api/registries', connection)
    const runner = caller(
      (await theOperator.post('/operator/runners', { name: newId('agent') })).body.data.key,
    )
    const { publicKey } = await generateKeyPair('ECDH-ES', { crv: 'P-256', extractable: true })
    const { agentId } = (
      await runner.post('/api/agent/register', {
        name: 'r',
        version: '1',
        scannerVersions: { trivy: '1', grype: '1', syft: '1' },
        capabilities: ['scan', 'lease'],
        publicKey: PublicJwk.parse(await exportJWK(publicKey)),
      })
    ).body
    const scanners = ['trivy', 'grype', 'syft']
    const { scanId } = (await ours.post('/api/scans', { image: `${host}/team/app:1.0`, scanners })).body
    await deliver({ kind: 'scan.dispatch', org: ours.organization.num, scanId })
    const polled = await runner.get(`/api/agent/jobs?agentId=${agentId}`)
    const result = resultFor(polled.body.jobs[0], { packages: 12, findings: 9 })
    const long = {
      ...result,
      logs: Array.from({ length: 200 }, () => 'x'.repeat(1000)),
      padding: 'y'.repeat(6_000_000),
    }
    const body = JSON.stringify(long)
    const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }
    const uploaded = await runner.send('POST', '/api/scans/upload', { body, headers })
    expect(uploaded.status, uploaded.text).toBe(200)
    await deliver({ kind: 'scan.ingest', org: ours.organization.num, scanId })
    expect((await ours.get(`/api/scans/${scanId}/status`)).body.data.status).toBe('COMPLETE')
    expect((await ours.get(`/api/scans/${scanId}`)).body.data.logs).toHaveLength(200)
  })
})
