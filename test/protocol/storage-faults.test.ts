import { env } from 'cloudflare:workers'
import { beforeEach, describe, expect, it } from 'vitest'
import { statement } from '../../src/db/database.ts'
import { StorageUnavailable } from '../../src/db/storage-unavailable.ts'
import type { Env } from '../../src/env.ts'
import { receiveUpload } from '../../src/scanning/sensors/receive-upload.ts'
import { takeUpload } from '../../src/scanning/sensors/take-upload.ts'
import { type FaultPlan, faultyBindings } from '../faults/faulty-bindings.ts'
import { baseAt, emptyPools, settle } from '../scanning/world.ts'
import { goEncode } from './go-json.ts'
import type { GoJob } from './go-sensor.ts'
import { aSensorWorld, type SensorWorld } from './sensor-world.ts'
import { envelopeOf, wireCalls } from './wire-calls.ts'

const bindings = env as unknown as Env
const queue = { send: async () => {}, sendBatch: async () => {} } as unknown as Queue

describe('An upload of the public sensor while storage fails', () => {
  let world: SensorWorld
  const { aClaim } = wireCalls(() => world)

  beforeEach(async () => {
    await emptyPools()
    world = await aSensorWorld()
  })

  async function uploadUnder(plan: FaultPlan, job: GoJob, scanId: string) {
    const [row] = await world.ours.db.all<{ credential_id: string }>(
      statement('SELECT credential_id FROM jobs WHERE id = ?', scanId),
    )
    const { num: org, shard } = world.ours.organization
    const { registryId } = world
    const runner = { credentialId: row!.credential_id, pool: registryId, org, registryId, shard }
    const body = goEncode(envelopeOf(job))
    const request = new Request('https://api.test/api/scans/upload', { method: 'POST', body })
    const ctx = { ...baseAt(Date.now()), env: faultyBindings(bindings, queue, plan) }
    try {
      return await takeUpload(ctx, runner, await receiveUpload(request))
    } finally {
      await settle().catch(() => {})
    }
  }

  const taken = async (scanId: string) => {
    const [row] = await world.ours.db.all<{ n: number }>(
      statement(
        `SELECT count(*) AS n FROM audit_log WHERE org = ? AND action = 'scan.uploaded' AND target = ?`,
        world.ours.organization.num,
        `scan:${scanId}`,
      ),
    )
    return row!.n
  }

  it('is taken once though any one call fails, before or after its effect', { timeout: 60_000 }, async () => {
    const calls: string[] = []
    const first = await aClaim({ hostname: 'none' })
    const noted: FaultPlan = (call) => {
      calls.push(call)
      return null
    }
    await uploadUnder(noted, first.job, first.scanId)
    expect(calls.filter((call) => call === 'd1.batch' || call === 'r2.put')).toHaveLength(3)
    for (let k = 1; k <= calls.length; k++) {
      world = await aSensorWorld() // each has scans to ask for of its own
      for (const kind of ['before', 'after'] as const) {
        const { scanId, job } = await aClaim({ hostname: `${k}-${kind}` })
        let call = 0
        const answer = await uploadUnder(() => (++call === k ? kind : null), job, scanId)
        expect([k, kind, answer.status, answer.reply.scanId]).toEqual([k, kind, 200, scanId])
        expect([k, kind, await taken(scanId)]).toEqual([k, kind, 1])
        const { result_key: key } = await world.job(scanId)
        expect([k, kind, (await bindings.ARTIFACTS.head(key!)) !== null]).toEqual([k, kind, true])
        expect((await world.ended(scanId)).status).toBe('COMPLETE')
      }
    }
  })

  it.each(['d1.batch', 'r2.put'])(
    'that never answers (%s) is refused, and the job is handed out again',
    async (failing) => {
      const { scanId, sensor, job } = await aClaim()
      const refused = uploadUnder((call) => (call === failing ? 'before' : null), job, scanId)
      await expect(refused).rejects.toBeInstanceOf(StorageUnavailable)
      expect((await world.job(scanId)).state).toBe('leased')
      expect((await sensor.fetchJobs()).map(({ id }) => id)).toEqual([job.id])
      expect((await sensor.upload(envelopeOf(job)))!.scanId).toBe(scanId)
      expect((await world.ended(scanId)).status).toBe('COMPLETE')
    },
  )
})
