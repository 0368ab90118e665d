import { beforeAll, describe, expect, it } from 'vitest'
import { parseJobWireId } from '../../src/ids.ts'
import { RUNNING_LIMIT, UNCLAIMED_LIMIT } from '../../src/scanning/bounds.ts'
import { Chaos, type Grant } from './chaos.ts'
import { contradictions } from './invariants.ts'
import { CHAOS_SCANS, SEED } from './seed.ts'
import { MINUTE, System } from './system.ts'
import { beginWitness, type Witnessed, witnessed } from './witness.ts'

const INGEST_LIMIT = 2 * 60 * MINUTE

interface ScanRow {
  id: string
  status: string
  reason: string | null
  leader_id: string | null
  created_at: number
  started_at: number | null
  scanned_at: number
  deadline_at: number | null
}

describe(`chaos (HG_FAULT_SEED=${SEED}, HG_CHAOS_SCANS=${CHAOS_SCANS})`, () => {
  let chaos: Chaos
  let scans: ScanRow[]
  let log: Witnessed[]

  beforeAll(async () => {
    const system = new System(Date.now())
    await beginWitness()
    chaos = new Chaos(system, { scans: CHAOS_SCANS, runners: 20, organizations: 4, faults: 0.01, seed: SEED })
    const from = performance.now()
    await chaos.run()
    await system.sweepObjects()
    scans = (
      await Promise.all(
        chaos.tenants.map(({ rows, organization }) =>
          rows<ScanRow>('SELECT * FROM scans WHERE org = ?', organization.num),
        ),
      )
    ).flat()
    log = (await Promise.all(chaos.tenants.map(({ organization }) => witnessed(organization)))).flat()
    const ends = Object.fromEntries([...Map.groupBy(scans, endOf)].map(([end, all]) => [end, all.length]))
    console.log(
      JSON.stringify({ seed: SEED, seconds: (performance.now() - from) / 1000, ends, ...chaos.events }),
    )
  }, 3_600_000)

  it('ends every scan that was asked for, once, within its bound', () => {
    expect(scans.map(({ id }) => id).sort()).toEqual(chaos.asked.toSorted())
    const ended = log.filter(({ event }) => event === 'ended').map(({ id }) => id)
    expect(ended.toSorted()).toEqual(chaos.asked.toSorted())
    expect(scans.filter(({ status }) => !/^(?:COMPLETE|FAILED|CANCELLED)$/.test(status))).toEqual([])
    expect(scans.filter((scan) => scan.scanned_at > latestEnd(scan))).toEqual([])
  })

  it('grants no lease while another holds it, and no fence twice', () => {
    const byJob = Map.groupBy(chaos.grants, ({ job }) => job)
    expect([...byJob.values()].flatMap(overlaps)).toEqual([])
    const granted = log.filter(({ event }) => event === 'granted').map(({ id, fence }) => `${id} ${fence}`)
    expect(new Set(granted).size).toBe(granted.length)
    expect(log.filter(({ event }) => event === 'taken away')).toEqual([])
    const heard = chaos.grants.map(({ job, fence }) => `${parseJobWireId(job)!.jobId} ${fence}`)
    expect(heard.filter((grant) => !granted.includes(grant))).toEqual([])
  })

  it('accepts at most one result of a job and applies each accepted one exactly once', () => {
    const of = (wanted: string) => log.filter(({ event }) => event === wanted).map(({ id }) => id)
    const accepted = of('accepted')
    expect(new Set(accepted).size).toBe(accepted.length)
    expect(of('applied').toSorted()).toEqual(accepted.toSorted())
    expect(accepted.length).toBeGreaterThan(CHAOS_SCANS / 4)
  })

  it('keeps counters that equal the rows, and no object without a name', async () => {
    const found = await Promise.all(chaos.tenants.map(({ organization }) => contradictions(organization)))
    expect(found.flat()).toEqual([])
  })

  it('had each kind of fault', () => {
    for (const event of [
      'd1 failed before',
      'd1 failed after',
      'message lost',
      'message doubled',
      'runner paused',
    ])
      expect(chaos.events[event], event).toBeGreaterThan(0)
  })
})

const endOf = ({ status, reason }: ScanRow): string =>
  reason === null ? status : `${status} ${(JSON.parse(reason) as { code: string }).code}`

/** The documented bound, and the minute until the next sweep; a result that arrived in time may be ingested later. */
const latestEnd = ({ created_at, started_at }: ScanRow): number =>
  started_at === null
    ? created_at + UNCLAIMED_LIMIT + 2 * MINUTE
    : started_at + RUNNING_LIMIT + INGEST_LIMIT + 2 * MINUTE

/** Pairs of leases of one job of which the later began before the earlier ended. */
function overlaps(grants: Grant[]): string[] {
  const ordered = grants.toSorted((a, b) => a.fence - b.fence)
  return ordered.flatMap((grant, index) => {
    const next = ordered[index + 1]
    return next && next.from < grant.until ? [`${grant.job}: ${grant.fence} and ${next.fence}`] : []
  })
}
