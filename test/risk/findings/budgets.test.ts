import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { type Meter, type Statement, statement } from '../../../src/db/database.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY, type ResultShape } from '../results.ts'

let organizations = 60_000
const DATA_TABLES = ['packages', 'artifact_packages', 'matches', 'overrides']

/** A scan in progress, and what ends it: the row with all its indexes. */
async function aScan(
  { db, organization: { num: org }, now }: Context,
  id: string,
  artifact: number,
): Promise<Statement> {
  await db.run(
    statement(
      `INSERT INTO scans (id, org, registry_id, image, repository, artifact, trigger, priority, scanners, status,
         requested_by, created_at, started_at, deadline_at)
       VALUES (?, ?, 'reg_1', 'app:1', 'app', ?, 'schedule', 2, '[]', 'IN_PROGRESS', 'operator', ?, ?, ?)`,
      id,
      org,
      artifact,
      now,
      now,
      now,
    ),
  )
  return statement(
    `UPDATE scans SET status = 'COMPLETE', scanned_at = ?1, deadline_at = NULL,
       (critical, high, medium, low, unknown, compliance, risk) =
       (SELECT critical, high, medium, low, unknown, grade, risk FROM artifacts a WHERE a.id = scans.artifact)
     WHERE org = ?2 AND id = ?3 AND status = 'IN_PROGRESS'`,
    now,
    org,
    id,
  )
}

let scans = 0

/** Ingests one scan and tells what D1 charged for it, the scan row's end included. */
async function charged(ctx: Context, artifact: number, shape: ResultShape): Promise<Meter> {
  const finish = [await aScan(ctx, `scn_${++scans}`, artifact)]
  const before = { ...ctx.db.meter }
  const scannedAt = BUILT + scans
  await ingestResult(ctx, { artifact, scanId: `scn_${scans}`, scannedAt, result: aResult(shape), finish })
  return {
    roundTrips: ctx.db.meter.roundTrips - before.roundTrips,
    rowsRead: ctx.db.meter.rowsRead - before.rowsRead,
    rowsWritten: ctx.db.meter.rowsWritten - before.rowsWritten,
  }
}

/** Everything in the tables that a rescan must not touch. */
const content = async ({ db, organization: { num: org } }: Context) =>
  (await db.batch(DATA_TABLES.map((table) => statement(`SELECT * FROM ${table} WHERE org = ?`, org)))).map(
    (r) => r.rows,
  )

/** Artifacts that share most of a base: `findings` of them in all. */
async function anOrganizationWith(findings: number): Promise<Context> {
  const ctx = aContext(organizations++)
  for (let index = 0; index * 5000 < findings; index++) {
    const artifact = await anArtifact(ctx, `base${index}`)
    const shape = { packages: 1500, findings: 5000, from: index * 10, seed: 7 }
    await ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: BUILT, result: aResult(shape), finish: [] })
  }
  return ctx
}

describe('the budget of an ingest', () => {
  it.each([
    { packages: 60, findings: 100 },
    { packages: 1500, findings: 5000 },
  ])(
    'of an unchanged rescan is 7 rows and 3 round trips, none in the data ($findings findings)',
    async (size) => {
      const ctx = aContext(organizations++)
      const artifact = await anArtifact(ctx, 'a')
      await charged(ctx, artifact, size)
      const before = await content(ctx)
      const sameBuild = await charged(ctx, artifact, size)
      const newerBuild = await charged(ctx, artifact, { ...size, build: BUILT + DAY / 2 })
      for (const cost of [sameBuild, newerBuild]) {
        expect(cost.rowsWritten).toBeLessThanOrEqual(7)
        expect(cost.roundTrips).toBeLessThanOrEqual(3)
      }
      expect(await content(ctx)).toEqual(before)
    },
  )

  it.each([10_000, 100_000])(
    'does not grow with the organization (%i findings)',
    { timeout: 240_000 },
    async (findings) => {
      const ctx = await anOrganizationWith(findings)
      const artifact = await anArtifact(ctx, 'new')
      const shape = { packages: 1500, findings: 5000, seed: 99 }
      const first = await charged(ctx, artifact, shape)
      const again = await charged(ctx, artifact, shape)
      const changed = await charged(ctx, artifact, {
        ...shape,
        without: (n) => n >= 100 && n < 125,
        build: BUILT + 1,
      })
      const sibling = await charged(ctx, await anArtifact(ctx, 'sibling'), {
        packages: 1500,
        findings: 5000,
        from: 300,
        seed: 7,
      })
      expect(first.rowsRead).toBeLessThanOrEqual(120_000)
      expect(again.rowsRead).toBeLessThanOrEqual(35_000)
      expect(sibling.rowsRead).toBeLessThanOrEqual(150_000)
      expect(first.roundTrips).toBeLessThanOrEqual(3)
      expect(first.rowsWritten).toBeLessThanOrEqual(10 * 5000 + (3 + 2) * 1500 + 7)
      expect(again.rowsWritten).toBeLessThanOrEqual(7)
      expect(changed.roundTrips).toBeLessThanOrEqual(3)
      expect(changed.rowsWritten).toBeLessThanOrEqual(10 * 25 + 8)
    },
  )

  it.each(['ascending', 'descending'])(
    'does not grow while every holder drops a verdict, one after the other (%s)',
    { timeout: 240_000 },
    async (order) => {
      const ctx = aContext(organizations++)
      const artifacts: number[] = []
      const shape = { packages: 2, findings: 1, engines: ['trivy', 'syft'] } as const
      for (let index = 0; index < 90; index++) artifacts.push(await anArtifact(ctx, `a${index}`))
      for (const artifact of artifacts) await charged(ctx, artifact, shape)
      const read: number[] = []
      for (const artifact of order === 'ascending' ? artifacts : artifacts.toReversed()) {
        const cost = await charged(ctx, artifact, { ...shape, build: BUILT + 1000, without: () => true })
        read.push(cost.rowsRead)
      }
      expect(Math.max(...read.slice(10, 80))).toBeLessThanOrEqual(read[1]! + 100)
      expect(
        await ctx.db.all(statement('SELECT id FROM matches WHERE org = ?', ctx.organization.num)),
      ).toEqual([])
    },
  )
})
