import { type Param, statement } from '../../../src/db/database.ts'
import { ingestScan } from '../../../src/scanning/scans/ingest.ts'
import type { Job } from '../../../src/scanning/sensors/protocol.ts'
import { aHttpRunner, type HttpRunner, poll } from '../../scanning/over-http.ts'
import { aScan, aWorld, emptyPools, jobIdOf, type World } from '../../scanning/world.ts'
import type { Answer } from '../../world.ts'

/** A leased job whose scan can be led to its end again and again: an upload over HTTP and its ingest, then as before. */
export interface LeasedJob {
  world: World
  runner: HttpRunner
  job: Job
  scanId: string
  upload(text: string): Promise<Answer>
  /** Has the accepted upload ingested, and says how the scan ended. */
  ingest(): Promise<{ status: string; code: string | null; engines: { name: string; status: string }[] }>
  /** The lease is held again and the scan in progress; what is known of the image stays. */
  again(): Promise<void>
}

const FAR = 10 ** 13

export async function aLeasedJob(): Promise<LeasedJob> {
  await emptyPools()
  const world = await aWorld()
  const runner = await aHttpRunner()
  const scanId = await aScan(world, { at: Date.now() })
  const job = await poll(runner)
  const jobId = await jobIdOf(world, scanId)
  const rowOf = (table: 'jobs' | 'scans', id: string) =>
    world.rows<Record<string, Param>>(`SELECT * FROM ${table} WHERE id = ?`, id).then((rows) => rows[0]!)
  const isGenerated = (name: string) => name.endsWith('_order')
  const restore = (table: 'jobs' | 'scans', { id, ...row }: Record<string, Param>) => {
    const names = Object.keys(row).filter((name) => !isGenerated(name))
    const set = names.map((name) => `${name} = ?`).join(', ')
    return statement(`UPDATE ${table} SET ${set} WHERE id = ?`, ...names.map((name) => row[name]!), id!)
  }
  const held = {
    jobs: { ...(await rowOf('jobs', jobId)), lease_until: FAR },
    scans: { ...(await rowOf('scans', scanId)), deadline_at: FAR },
  }
  const db = () => world.at(Date.now()).db
  const again = async () => {
    await db().batch([
      restore('jobs', held.jobs),
      restore('scans', held.scans),
      statement('DELETE FROM outbox WHERE org = ?', world.organization.num),
      statement('DELETE FROM audit_log WHERE org = ?', world.organization.num),
    ])
  }
  await again()
  return {
    ...{ world, runner, job, scanId, again },
    upload: (text) => {
      const body = new TextEncoder().encode(text)
      const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }
      return runner.send('POST', '/api/scans/upload', { body, headers })
    },
    ingest: async () => {
      await ingestScan(world.at(Date.now()), jobId)
      const { status, reason, engines } = await rowOf('scans', scanId)
      const code = reason === null ? null : (JSON.parse(String(reason)) as { code: string }).code
      return { status: String(status), code, engines: JSON.parse(String(engines)) }
    },
  }
}
