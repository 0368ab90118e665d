import type { D1Database } from '@cloudflare/workers-types'
import type { Result } from '../../src/scanning/sensors/result.ts'
import { aResult, DAY } from '../risk/results.ts'
import type { BenchServer } from './server.ts'
import { extrapolate } from './statistics.ts'
import type { Tenant } from './tenant.ts'

const PACKAGES = 300 // of one image
const OWN = 60 // of them in no image made before; the others in up to four more, as a base image's are
const UPLOADS = 10 // at once: as many as fill a queue batch, so that none waits for its time-out
export const REFERENCE_FINDINGS = 300_000 // the size that storage is spoken of

/** What the shard's file grew by, free pages included; one scan of each image. */
interface Growth {
  images: number
  /** As the images show them. */
  findings: number
  bytes: number
}

export interface Storage {
  /** Images that brought packages of their own, then as many that hold only packages known already. */
  fresh: Growth
  known: Growth
  /** Rows afterwards. */
  rows: { matches: number; packageLinks: number }
  /** In proportion for `REFERENCE_FINDINGS`: everything measured, and if all further images hold known packages. */
  reference: { upper: number; lower: number }
}

/** Makes the organization's images through the ingest path and measures what they take in the shard. */
export async function makeWorld(
  server: BenchServer,
  tenant: Tenant,
  images: number,
  now: number,
): Promise<Storage> {
  const db = await server.database(tenant.shard)
  const half = images / 2
  const numbers = Array.from({ length: half }, (_, number) => number)
  const fresh = await grow(db, tenant, () => makeImages(tenant, numbers, half, now))
  const known = await grow(db, tenant, () =>
    makeImages(
      tenant,
      numbers.map((number) => half + number),
      half,
      now,
    ),
  )
  return {
    ...{ fresh: { images: half, ...fresh }, known: { images: half, ...known } },
    rows: await rowsOf(db, tenant.num),
    reference: {
      upper: extrapolate(fresh.bytes + known.bytes, fresh.findings + known.findings, REFERENCE_FINDINGS),
      lower: fresh.bytes + extrapolate(known.bytes, known.findings, REFERENCE_FINDINGS - fresh.findings),
    },
  }
}

async function grow(db: D1Database, { num }: Tenant, change: () => Promise<void>) {
  const look = async () => {
    const { results, meta } = await db
      .prepare('SELECT sum(critical + high + medium + low + unknown) AS n FROM artifacts WHERE org = ?')
      .bind(num)
      .all<{ n: number | null }>()
    return { findings: results[0]!.n ?? 0, bytes: meta.size_after as number }
  }
  const before = await look()
  await change()
  const after = await look()
  return { findings: after.findings - before.findings, bytes: after.bytes - before.bytes }
}

async function rowsOf(db: D1Database, org: number): Promise<Storage['rows']> {
  const count = async (table: string) => {
    const row = await db
      .prepare(`SELECT count(*) AS n FROM ${table} WHERE org = ?`)
      .bind(org)
      .first<{ n: number }>()
    return row!.n
  }
  return { matches: await count('matches'), packageLinks: await count('artifact_packages') }
}

/** Scans images by number; those `period` apart hold the same packages. */
async function makeImages(tenant: Tenant, numbers: number[], period: number, now: number): Promise<void> {
  await tenant.requestScans(numbers.map((number) => `team${number % 7}/app-${number}`))
  let left = numbers.length
  const worker = async () => {
    while (left-- > 0) {
      const claimed = await tenant.claim()
      const number = Number(claimed.repository.split('-')[1])
      await tenant.deliver(claimed, imageResult(number, number % period, now))
    }
  }
  await Promise.all(Array.from({ length: UPLOADS }, worker))
}

/** Every second package has one finding, in each image that holds it. */
function imageResult(number: number, window: number, now: number): Result {
  const from = window * OWN
  return aResult({
    ...{ from, packages: PACKAGES, findings: PACKAGES, build: now - 10 * DAY, digest: digestOf(1, number) },
    without: (finding) => (from + finding) % 2 === 1,
  })
}

/** A digest for each pair of numbers. */
export const digestOf = (kind: number, number: number): string =>
  `sha256:${kind.toString(16).padStart(8, '0')}${number.toString(16).padStart(56, '0')}`
