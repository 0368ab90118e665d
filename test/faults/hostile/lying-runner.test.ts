import { env } from 'cloudflare:workers'
import { compactDecrypt } from 'jose'
import { beforeEach, describe, expect, it } from 'vitest'
import { sha256Hex } from '../../../src/crypto/tokens.ts'
import { blobKey } from '../../../src/db/blobs.ts'
import type { Env } from '../../../src/env.ts'
import { ingestScan } from '../../../src/scanning/scans/ingest.ts'
import type { Job, Result } from '../../../src/scanning/sensors/protocol.ts'
import { putBlob } from '../../../src/scanning/sensors/put-blob.ts'
import { renewLeases } from '../../../src/scanning/sensors/renew.ts'
import { reportStatus } from '../../../src/scanning/sensors/report-status.ts'
import { aHttpRunner, connected, dispatched, poll } from '../../scanning/over-http.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  complete,
  emptyPools,
  HOUR,
  jobIdOf,
  jobState,
  MINUTE,
  type Runner,
  refusal,
  resultFor,
  scanState,
  settle,
  T0,
  upload,
  type World,
} from '../../scanning/world.ts'
import { rowsOf } from '../../tables.ts'
import { anOrganization, caller } from '../../world.ts'

const OF_THE_SCAN = ['jobs', 'scans', 'scan_totals', 'outbox', 'audit_log', 'scan_blobs']
const LATER = T0 + 2 * HOUR
const NOW = LATER + MINUTE

let world: World
let honest: Runner
let liar: Runner
let job: Job
let scanId: string

/** An image with a good result, a second scan of it that one runner holds, and another runner of the same pool. */
beforeEach(async () => {
  await emptyPools()
  world = await aWorld()
  honest = await aRunner()
  liar = await aRunner()
  await aScan(world)
  await complete(world, honest, (await honest.poll())!)
  scanId = await aScan(world, { at: LATER })
  job = (await honest.poll(LATER))!
})

const known = () => rowsOf(world.organization, OF_THE_SCAN)

/** The holder uploads, and it is ingested. */
async function end(result: Result, at = NOW) {
  await upload(honest, result, at)
  await ingestScan(world.at(at), await jobIdOf(world, scanId))
  await settle()
  const [row] = await world.rows<{ engines: string; blobs: string }>(
    'SELECT * FROM scans WHERE id = ?',
    scanId,
  )
  const { status, code } = await scanState(world, scanId)
  return {
    ...{ status, code, blobs: JSON.parse(row!.blobs) as object },
    engines: JSON.parse(row!.engines) as { name: string; status: string; reason: { code: string } | null }[],
  }
}

const put = async (runner: Runner, bytes: string, options: { fence?: number; sha256?: string } = {}) => {
  const body = new TextEncoder().encode(bytes)
  return putBlob(baseAt(NOW), runner.identity, {
    ...{ wireId: job.id, fence: options.fence ?? job.lease.fence, size: body.length },
    sha256: options.sha256 ?? (await sha256Hex(bytes)),
    mediaType: 'application/json',
    body: new Response(body).body,
  })
}

/** Every call that names a job, with its fence. */
const calls = (runner: Runner, fence: number): [string, () => Promise<unknown>][] => [
  ['a blob', () => put(runner, 'x', { fence })],
  ['a result', () => upload(runner, { ...resultFor(job), fence }, NOW)],
  ['a failure', () => reportStatus(baseAt(NOW), runner.identity, job.id, { status: 'failed', fence })],
  ['a return', () => reportStatus(baseAt(NOW), runner.identity, job.id, { status: 'released', fence })],
]

describe('A runner that guesses a fence', () => {
  it.each([
    ['the right one, of a job that another runner holds', () => liar, 0],
    ['the next one', () => honest, 1],
    ['one far ahead', () => honest, 1000],
  ])('%s is answered with lease_lost and changes nothing', async (_, runner, ahead) => {
    const all = await rowsOf(world.organization)
    const fence = job.lease.fence + ahead
    for (const [what, call] of calls(runner(), fence)) expect(await refusal(call()), what).toBe('lease_lost')
    const beat = {
      jobs: [{ id: job.id, fence, progress: { phase: 'ingesting' as const, progress: 99, engines: [] } }],
    }
    expect((await renewLeases(baseAt(NOW), runner().identity, beat)).jobs).toEqual([
      { id: job.id, leaseSeconds: 0, cancel: false },
    ])
    await settle()
    expect(await rowsOf(world.organization)).toEqual(all)
  })
})

describe('A runner that lies about who it is', () => {
  it('is not heard under the id of an agent that another key registered', async () => {
    expect(honest.agentId).not.toBe(liar.agentId)
    await aScan(world, { image: 'team/other:1.0', at: LATER })
    const answer = await (await aHttpRunner()).get(`/api/agent/jobs?agentId=${honest.agentId}`)
    expect([answer.status, answer.body.code]).toEqual([404, 'unknown_agent'])
    const at = NOW + 30 * MINUTE
    await renewLeases(baseAt(at), liar.identity, { agentId: honest.agentId, jobs: [] })
    await settle()
    const row = await (env as unknown as Env).DIRECTORY.prepare(
      'SELECT last_heartbeat_at AS at FROM agents WHERE id = ?',
    )
      .bind(honest.agentId)
      .first<{ at: number }>()
    expect(row!.at).toBeLessThan(at)
  })

  it('with another public key is another agent: sealed credentials open for the key they were sealed to only', async () => {
    const ours = await anOrganization()
    await emptyPools()
    const runner = await aHttpRunner()
    const { host } = await connected(ours, 'basic')
    const pair = (await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, [
      'deriveBits',
    ])) as CryptoKeyPair
    const { x, y } = (await crypto.subtle.exportKey('jwk', pair.publicKey)) as JsonWebKey
    const again = await runner.post('/api/agent/register', {
      ...{
        name: 'runner',
        version: '1.0.0',
        capabilities: ['scan', 'lease'],
        scannerVersions: { trivy: '1' },
      },
      publicKey: { kty: 'EC', crv: 'P-256', x, y },
    })
    expect(again.body.agentId).not.toBe(runner.agentId)
    await dispatched(ours, `${host}/team/app:1.0`)
    const leased = await poll(runner)
    expect(leased.credentials).toMatch(/^eyJ/)
    await expect(compactDecrypt(leased.credentials!, pair.privateKey)).rejects.toThrow()
  })

  it('gets no job of another registry, of its organization or of another', async () => {
    const [sensors, others] = [await aWorld('sensor'), await aWorld('sensor')]
    await aScan(others, { at: LATER })
    const sensor = await aRunner({ world: sensors })
    expect(await sensor.poll(LATER)).toBeNull()
    const all = await rowsOf(world.organization)
    for (const [what, call] of calls(sensor, job.lease.fence))
      expect(await refusal(call()), what).toBe('lease_lost')
    expect(await rowsOf(world.organization)).toEqual(all)
  })
})

describe('A runner that lies about blobs', () => {
  it('cannot replace what is stored under a digest', async () => {
    const bytes = '{"bomFormat":"CycloneDX"}'
    const sha256 = await sha256Hex(bytes)
    expect(await put(honest, bytes)).toBe('stored')
    expect(await refusal(put(honest, '{"bomFormat":"lies"}     ', { sha256 }))).toBe('digest_mismatch')
    const object = await (env as unknown as Env).ARTIFACTS.get(blobKey(world.organization.num, sha256))
    expect(await object!.text()).toBe(bytes)
    expect(await refusal(put(honest, 'other', { sha256: 'f'.repeat(64) }))).toBe('digest_mismatch')
  })

  it('reaches no blob of another scan or organization by naming its digest', async () => {
    const sha256 = await sha256Hex('{"of":"another"}')
    await (env as unknown as Env).ARTIFACTS.put(blobKey(world.organization.num, sha256), '{"of":"another"}')
    const result = resultFor(job)
    result.sboms = [{ format: 'spdx', sha256, size: 16, mediaType: 'application/json' }]
    result.engines[0]!.raw = { sha256, size: 16 }
    expect(await end(result)).toMatchObject({ status: 'COMPLETE', blobs: {} })
  })
})

describe('A runner that lies about what it scanned', () => {
  it.each<[string, (result: Result) => void]>([
    ['another digest', (result) => (result.image!.digest = `sha256:${'f'.repeat(64)}`)],
    ['another platform', (result) => (result.image!.platform = 'linux/arm64')],
    ['a platform that is none', (result) => (result.image!.platform = 'linux')],
  ])('names %s: the scan ends FAILED result_invalid and nothing known changes', async (_, lie) => {
    const before = await known()
    const result = resultFor(job, { without: () => true })
    lie(result)
    expect(await end(result)).toMatchObject({ status: 'FAILED', code: 'result_invalid' })
    expect(await known()).toEqual(before)
  })

  it.each(['another digest than the one asked for', 'another tag of the same image'])(
    'of a job that went out by reference names %s: nothing outside the reference changes',
    async (lie) => {
      const sensors = await aWorld('sensor')
      const sensor = await aRunner({ world: sensors })
      const asked = `sha256:${'5'.repeat(64)}`
      const image = lie.includes('digest') ? `team/app@${asked}` : 'team/app:1.0'
      const id = await aScan(sensors, { image, at: LATER })
      const theirs = (await sensor.poll(LATER))!
      expect(theirs.digest).toBeNull()
      const result = resultFor(theirs, { digest: `sha256:${'6'.repeat(64)}` })
      result.image!.ref = `${sensors.host}/team/other:2.0`
      await upload(sensor, result, NOW)
      await ingestScan(sensors.at(NOW), await jobIdOf(sensors, id))
      const images = await sensors.rows<{ repository: string }>(
        'SELECT repository FROM images WHERE org = ?',
        sensors.organization.num,
      )
      expect(images.filter(({ repository }) => repository !== 'team/app')).toEqual([])
      const ended = await scanState(sensors, id)
      expect(ended.code ?? ended.status).toBe(lie.includes('digest') ? 'result_invalid' : 'COMPLETE')
    },
  )

  it('has a database from the future: its findings do not count, and the scan says why', async () => {
    const result = resultFor(job, { without: () => true })
    for (const { database } of result.engines) if (database) database.builtAt = '2126-01-01T00:00:00Z'
    const before = await known()
    const { status, engines } = await end(result)
    expect(status).toBe('COMPLETE')
    expect(engines.map(({ name, reason }) => [name, reason?.code])).toEqual([
      ['trivy', 'database_from_future'],
      ['grype', 'database_from_future'],
      ['syft', undefined],
    ])
    const after = await known()
    expect([after.matches, after.artifact_packages]).toEqual([before.matches, before.artifact_packages])
  })

  it('runs engines it was not asked for: their words change nothing', async () => {
    const other = await aScan(world, { image: 'team/other:1.0', at: LATER, scanners: ['trivy', 'syft'] })
    const theirs = (await honest.poll(LATER))!
    expect(theirs.scan.scanners).toEqual(['trivy', 'syft'])
    const result = resultFor(theirs, { engines: ['trivy', 'grype', 'osv', 'syft'] })
    expect(new Set(result.findings.map(({ engine }) => engine))).toContain('grype')
    await upload(honest, result, NOW)
    await ingestScan(world.at(NOW), await jobIdOf(world, other))
    const [row] = await world.rows<{ ran: number }>(
      'SELECT ran FROM artifacts WHERE org = ? AND id = (SELECT artifact FROM scans WHERE id = ?)',
      world.organization.num,
      other,
    )
    expect(row!.ran).toBe(1)
  })

  it('says that an engine succeeded and failed: the first word counts', async () => {
    const result = resultFor(job, { without: () => true })
    result.engines = [
      ...result.engines.map((run) => ({ ...run, status: 'failed' as const })),
      ...result.engines,
    ]
    const before = await known()
    const { status, code, engines } = await end(result)
    expect([status, code]).toEqual(['FAILED', 'all_engines_failed'])
    expect(engines.map((engine) => engine.status)).toEqual(['failed', 'failed', 'failed'])
    expect(await known()).toEqual(before)
  })

  it('lists packages of 1,000 locations each: they are stored within bounds; 1,001 are not a result', async () => {
    const crowded = (count: number) => {
      const result = resultFor(job)
      for (const [index, one] of result.packages.slice(0, 3).entries()) {
        one.locations = Array.from({ length: count }, (_, n) => ({
          ...{ path: `/${index}/${n}/${'p'.repeat(800)}`, layer: null },
        }))
      }
      return result
    }
    const before = await known()
    expect(await end(crowded(1001))).toMatchObject({ status: 'FAILED', code: 'result_invalid' })
    expect(await known()).toEqual(before)
    scanId = await aScan(world, { at: LATER + HOUR })
    job = (await honest.poll(LATER + HOUR))!
    expect(await end(crowded(1000), LATER + HOUR + MINUTE)).toMatchObject({ status: 'COMPLETE' })
    const chunks = await world.rows<{ size: number }>(
      'SELECT length(data) AS size FROM artifact_locations WHERE org = ?',
      world.organization.num,
    )
    expect(chunks.length).toBeGreaterThanOrEqual(3)
    expect(Math.max(...chunks.map(({ size }) => size))).toBeLessThan(500_000)
  })
})

describe('A runner that lies about time and progress', () => {
  it('keeps no lease longer than a heartbeat gives, and reports no progress backwards', async () => {
    const beat = (progress: number) =>
      renewLeases(baseAt(NOW), honest.identity, {
        jobs: [
          { id: job.id, fence: job.lease.fence, progress: { phase: 'scanning', progress, engines: [] } },
        ],
      })
    const { jobs } = await beat(100)
    expect(jobs[0]!.leaseSeconds).toBeLessThanOrEqual(120)
    await beat(1)
    expect((await jobState(world, scanId))!.progress).toBe(100)
  })

  it('says that the scan took place in another century: the time is that of the upload', async () => {
    const result = resultFor(job)
    result.scan.startedAt = '2126-01-01T00:00:00Z'
    result.scan.finishedAt = '1926-01-01T00:00:00Z'
    expect((await end(result)).status).toBe('COMPLETE')
    const [row] = await world.rows<{ duration_ms: number; scanned_at: number }>(
      'SELECT * FROM scans WHERE id = ?',
      scanId,
    )
    expect([row!.scanned_at, row!.duration_ms >= 0]).toEqual([NOW, true])
  })
})

describe('A key that is no runner', () => {
  it('takes no part in the protocol', async () => {
    const ours = await anOrganization()
    for (const client of [ours, caller('hg_rk_guessed'), caller(null)]) {
      const answer = await client.post('/api/scans/upload', resultFor(job))
      expect(answer.status).toBe(client === ours ? 409 : 401)
    }
  })
})
