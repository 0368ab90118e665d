import { type Param, statement } from '../../../src/db/database.ts'
import { Problem } from '../../../src/http/problems.ts'
import { ingestScan } from '../../../src/scanning/scans/ingest.ts'
import type { Job } from '../../../src/scanning/sensors/protocol.ts'
import { receiveUpload } from '../../../src/scanning/sensors/receive-upload.ts'
import { takeUpload } from '../../../src/scanning/sensors/take-upload.ts'
import { aHttpRunner, type HttpRunner, poll } from '../../scanning/over-http.ts'
import {
  aRunner,
  aScan,
  aWorld,
  baseAt,
  emptyPools,
  jobIdOf,
  settle,
  type World,
} from '../../scanning/world.ts'

export interface Uploaded {
  status: number
  text: string
  /** Of an accepted upload. */
  scanId: string | null
}

export interface Ended {
  status: string
  code: string | null
  engines: { name: string; status: string; reason: { code: string } | null }[]
  artifact: number | null
}

/** A claimed job whose scan can be led to its end again and again: an upload and its ingest, then as before. */
export interface ClaimedJob {
  world: World
  job: Job
  scanId: string
  upload(text: string): Promise<Uploaded>
  /** Has an accepted upload ingested, and says how its scan ended. */
  ingest(scanId?: string): Promise<Ended>
  /** The job is held again and the scan in progress; what is known of the image stays. */
  again(): Promise<void>
}

const FAR = 10 ** 13

interface Row extends Record<string, Param> {}

async function claimed(
  world: World,
  { job, scanId }: { job: Job; scanId: string },
  upload: ClaimedJob['upload'],
  change: Row = {},
): Promise<ClaimedJob> {
  const rowOf = (table: 'jobs' | 'scans', id: string) =>
    world.rows<Row>(`SELECT * FROM ${table} WHERE id = ?`, id).then((rows) => rows[0]!)
  const restore = (table: 'jobs' | 'scans', { id, ...row }: Row) => {
    const names = Object.keys(row).filter((name) => !name.endsWith('_order')) // generated
    const set = names.map((name) => `${name} = ?`).join(', ')
    return statement(`UPDATE ${table} SET ${set} WHERE id = ?`, ...names.map((name) => row[name]!), id!)
  }
  const held = {
    jobs: { ...(await rowOf('jobs', await jobIdOf(world, scanId))), lease_until: FAR, ...change },
    scans: { ...(await rowOf('scans', scanId)), deadline_at: FAR },
  }
  const again = async () => {
    await world
      .at(Date.now())
      .db.batch([
        restore('jobs', held.jobs),
        restore('scans', held.scans),
        statement('DELETE FROM outbox WHERE org = ?', world.organization.num),
        statement('DELETE FROM audit_log WHERE org = ?', world.organization.num),
      ])
  }
  await again()
  const ingest = async (id = scanId): Promise<Ended> => {
    await ingestScan(world.at(Date.now()), await jobIdOf(world, id))
    const { status, reason, engines, artifact } = await rowOf('scans', id)
    const code = reason === null ? null : (JSON.parse(String(reason)) as { code: string }).code
    return {
      status: String(status),
      code,
      engines: JSON.parse(String(engines)),
      artifact: artifact as number | null,
    }
  }
  return { world, job, scanId, upload, ingest, again }
}

/** The same with the runner that holds the lease and speaks to the Worker over HTTP. */
export interface LeasedJob extends ClaimedJob {
  runner: HttpRunner
}

/** A job of a resolved image that a cloud runner leased; uploads go over HTTP. */
export async function aLeasedJob(): Promise<LeasedJob> {
  await emptyPools()
  const world = await aWorld()
  const runner = await aHttpRunner()
  const scanId = await aScan(world, { at: Date.now() })
  const upload = async (text: string) => {
    const body = new TextEncoder().encode(text)
    const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }
    const {
      status,
      body: reply,
      text: said,
    } = await runner.send('POST', '/api/scans/upload', { body, headers })
    return { status, text: said, scanId: (reply?.scanId as string | undefined) ?? null }
  }
  return { ...(await claimed(world, { job: await poll(runner), scanId }, upload)), runner }
}

/** A job that went out by tag to a sensor that knows no leases; uploads are handed to the verb. */
export async function aPlainJob(): Promise<ClaimedJob> {
  await emptyPools()
  const world = await aWorld('sensor')
  const { identity, poll: claim } = await aRunner({ world, at: Date.now() })
  const scanId = await aScan(world, { at: Date.now() })
  const job = (await claim(Date.now()))!
  const upload = async (text: string): Promise<Uploaded> => {
    const body = new TextEncoder().encode(text)
    const headers = { 'Content-Length': String(body.length) }
    const request = new Request('https://api.test/api/scans/upload', { method: 'POST', body, headers })
    try {
      const { status, reply } = await takeUpload(baseAt(Date.now()), identity, await receiveUpload(request))
      return { status, text: '', scanId: reply.scanId }
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      return { status: error.status, text: error.message, scanId: null }
    } finally {
      await settle()
    }
  }
  return claimed(world, { job, scanId }, upload, { unfenced: 1 })
}
