import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { shardNames } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'
import { engineBits } from '../../src/scanning/engine-bits.ts'
import { claimJob } from '../../src/scanning/sensors/claim.ts'
import { CAPABILITIES, PROTOCOL_VERSION } from '../../src/scanning/sensors/protocol.ts'
import { endUnrunnableScans } from '../../src/scanning/sweeps.ts'
import { deliver } from '../scanning/deliver.ts'
import { connected } from '../scanning/over-http.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  complete,
  emptyPools,
  HOUR,
  jobState,
  MINUTE,
  type Runner,
  scanState,
  T0,
  type World,
} from '../scanning/world.ts'
import { anOrganization, caller, theOperator } from '../world.ts'

const ALL = engineBits(['trivy', 'grype', 'syft'])

const label = (world: World, ...labels: string[]) =>
  world.rows(
    'UPDATE registries SET runner_labels = ? WHERE id = ?',
    JSON.stringify(labels.sort()),
    world.registryId,
  )

const scans = async (world: World, count: number, prefix = 'app') => {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await aScan(world, { image: `team/${prefix}${n}:1` }))
  return ids
}

const pollAtOnce = (runner: Runner, times: number) =>
  Promise.all(Array.from({ length: times }, () => runner.poll()))

beforeEach(emptyPools)

describe('concurrency', () => {
  it.each([1, 3])(
    '%i is how many jobs an agent has at one time, of any number of polls at once',
    async (concurrency) => {
      const world = await aWorld()
      await scans(world, 8)
      const runner = await aRunner({ concurrency })
      const jobs = (await pollAtOnce(runner, 8)).filter((job) => job !== null)
      expect(jobs).toHaveLength(concurrency)
      expect(await runner.poll()).toBeNull()
      await complete(world, runner, jobs[0]!)
      expect(await runner.poll()).not.toBeNull()
      expect(await runner.poll()).toBeNull()
    },
  )

  it('counts what the agent holds in other shards', async () => {
    const worlds = new Map<string, World>()
    for (let tries = 0; worlds.size < shardNames(env as unknown as Env).length && tries < 20; tries++) {
      const world = await aWorld()
      worlds.set(world.organization.shard, world)
    }
    expect(worlds.size).toBeGreaterThan(1)
    for (const world of worlds.values()) await scans(world, 3)
    const runner = await aRunner({ concurrency: 1 })
    const atOnce = (await pollAtOnce(runner, 6)).filter((job) => job !== null)
    expect(atOnce.length).toBeLessThanOrEqual(1)
    const job = atOnce[0] ?? (await runner.poll())
    expect(job).not.toBeNull()
    for (let again = 0; again < 4; again++) expect(await runner.poll(T0 + again * 1000)).toBeNull()
  })

  it('forgets a job whose lease ran out', async () => {
    const world = await aWorld()
    await scans(world, 2)
    const runner = await aRunner({ concurrency: 1 })
    expect(await runner.poll()).not.toBeNull()
    expect(await runner.poll()).toBeNull()
    expect(await runner.poll(T0 + 3 * MINUTE)).not.toBeNull()
  })
})

describe('labels', () => {
  it('of a registry leave its jobs to runners that have all of them', async () => {
    const world = await aWorld()
    await label(world, 'zone=eu', 'gpu')
    const [plain, half, whole] = [
      await aRunner(),
      await aRunner({ labels: ['gpu', 'arm'] }),
      await aRunner({ labels: ['x', 'gpu', 'zone=eu'] }),
    ]
    const scanId = await aScan(world)
    expect(await plain.poll()).toBeNull()
    expect(await half.poll()).toBeNull()
    expect((await whole.poll())?.id).toContain(scanId)
  })

  it('of a runner do not keep it from jobs that ask for none', async () => {
    const world = await aWorld()
    await aScan(world)
    expect(await (await aRunner({ labels: ['gpu'] })).poll()).not.toBeNull()
  })

  it.each(['cloud', 'sensor'] as const)(
    'that no live runner of the %s has end the scan at once',
    async (method) => {
      const world = await aWorld(method)
      await label(world, 'gpu')
      await aRunner(method === 'sensor' ? { world } : {})
      const scanId = await aScan(world)
      expect(await scanState(world, scanId)).toMatchObject({
        status: 'FAILED',
        code: 'runner_labels_unavailable',
      })
    },
  )

  it('without a live runner let the scan wait for one', async () => {
    const world = await aWorld()
    await label(world, 'gpu')
    const scanId = await aScan(world)
    expect((await jobState(world, scanId))?.state).toBe('queued')
    expect(await (await aRunner({ labels: ['gpu'] })).poll()).not.toBeNull()
  })

  it('that the runners lost end a waiting scan by the sweep', async () => {
    const world = await aWorld()
    await label(world, 'gpu')
    const scanId = await aScan(world)
    const later = T0 + 10 * MINUTE
    await aRunner({ at: later })
    const ctx = world.at(later)
    expect(await endUnrunnableScans(ctx.directory, ctx.db, later)).toBe(1)
    expect(await scanState(world, scanId)).toMatchObject({
      status: 'FAILED',
      code: 'runner_labels_unavailable',
    })
  })

  it('change with the registry for jobs that wait', async () => {
    const ours = await anOrganization()
    const registry = await connected(ours, 'open', { runnerLabels: ['gpu', 'arm', 'gpu'] })
    const path = `/api/registries/${registry.id}`
    expect((await ours.get(path)).body.data.runnerLabels).toEqual(['arm', 'gpu'])
    expect((await ours.get('/api/registries')).body.data[0].runnerLabels).toEqual(['arm', 'gpu'])
    const { scanId } = (
      await ours.post('/api/scans', { image: `${registry.host}/team/app:1.0`, scanners: ['trivy'] })
    ).body
    await deliver({ kind: 'scan.dispatch', org: ours.organization.num, scanId })
    const runner = await aRunner()
    expect(await runner.poll(Date.now())).toBeNull()
    const changed = await ours.put(path, { scanning: { runnerLabels: [] } })
    expect(changed.body.data.scanning.runnerLabels).toEqual([])
    expect((await runner.poll(Date.now()))?.id).toContain(scanId)
    expect(await ours.put(path, { scanning: { runnerLabels: ['no spaces'] } })).toBeProblem(
      400,
      'VALIDATION_ERROR',
    )
  })

  it('cost a claim few rows, however many jobs wait for others and however many for itself', async () => {
    const world = await aWorld('sensor')
    let clock = 0 // leases of one millisecond are told apart by reading each
    const costs: Record<string, { read: number; written: number; trips: number }>[] = []
    for (const waiting of [3, 40]) {
      await label(world, 'gpu')
      await scans(world, waiting, `g${waiting}-`)
      await label(world, 'arm')
      await scans(world, waiting, `a${waiting}-`)
      await label(world)
      await scans(world, waiting, `p${waiting}-`)
      const cost: (typeof costs)[number] = {}
      for (const [name, labels] of [
        ['plain', []],
        ['labelled', ['gpu']],
      ] as const) {
        const base = baseAt(T0 + clock++)
        const { identity, agentId } = await aRunner({ world, labels: [...labels], at: T0 - HOUR })
        const job = await claimJob(base, identity, agentId, ALL, { labels, concurrency: 1, unfenced: false })
        expect(job).not.toBeNull()
        const { rowsRead: read, rowsWritten: written, roundTrips: trips } = base.directory.meter
        cost[name] = { read, written, trips }
      }
      costs.push(cost)
    }
    for (const { plain, labelled } of costs) {
      expect(plain!.read).toBeLessThanOrEqual(20)
      expect(labelled!.read).toBeLessThanOrEqual(50)
      for (const { written } of [plain!, labelled!]) expect(written).toBeLessThanOrEqual(10)
    }
    // a row or two by where random ids lie in their trees; 37 more jobs of each kind cost none
    expect(costs[1]!.labelled!.read).toBeLessThanOrEqual(costs[0]!.labelled!.read + 3)
  })
})

describe('versions and capabilities', () => {
  const runnerKey = async () => (await theOperator.post('/operator/runners', { name: 'r' })).body.data.key
  const register = async (more: object) =>
    caller(await runnerKey()).post('/api/agent/register', { name: 'r', version: '1', ...more })

  it('of a newer runner are answered with those of the server, and both go on', async () => {
    const answer = await register({ protocolVersion: 99, capabilities: ['scan', 'lease', 'teleport'] })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ protocolVersion: PROTOCOL_VERSION, capabilities: [...CAPABILITIES] })
  })

  it('below the least refuse the runner with runner_too_old and what to do', async () => {
    const answer = await register({ protocolVersion: 0 })
    expect([answer.status, answer.body.code]).toEqual([400, 'runner_too_old'])
    expect(answer.body.error).toMatch(/update the runner/)
  })

  it('that a runner does not name are those of the public sensor', async () => {
    expect((await register({})).status).toBe(200)
  })

  it('without lease get nothing of the cloud, whose jobs carry credentials', async () => {
    const world = await aWorld()
    await aScan(world)
    const key = await runnerKey()
    const client = caller(key)
    const body = { name: 'r', version: '1', capabilities: ['scan'], scannerVersions: { trivy: '1' } }
    const { agentId } = (await client.post('/api/agent/register', body)).body
    expect((await client.get(`/api/agent/jobs?agentId=${agentId}`)).body).toEqual({ jobs: [] })
    expect((await client.get('/api/agent/jobs?agentId=unknown')).body.code).toBe('unknown_agent')
  })

  it('refuse labels and a concurrency that are none', async () => {
    for (const more of [
      { labels: ['a b'] },
      { labels: Array(21).fill('a') },
      { concurrency: 0 },
      { concurrency: 65 },
    ]) {
      expect((await register(more)).status).toBe(400)
    }
  })
})
