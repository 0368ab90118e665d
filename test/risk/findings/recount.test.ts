import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { statement } from '../../../src/db/database.ts'
import { readPage } from '../../../src/http/pages.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { recountArtifacts } from '../../../src/risk/findings/recount.ts'
import { listVulnerabilities } from '../../../src/risk/vulnerabilities/list.ts'
import { VULNERABILITY_LIST } from '../../../src/risk/vulnerabilities/list-spec.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY, type ResultShape } from '../results.ts'

let organizations = 50_000

const scan = (ctx: Context, artifact: number, shape: ResultShape) =>
  ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: BUILT, result: aResult(shape), finish: [] })

const counted = (ctx: Context, artifacts: number[]) =>
  ctx.db.all<{ total: number }>(
    statement(
      `SELECT critical + high + medium + low + unknown AS total FROM artifacts WHERE id IN (SELECT value FROM json_each(?))`,
      JSON.stringify(artifacts),
    ),
  )

describe('recountArtifacts', () => {
  it('counts again, in slices, what a verdict that appears elsewhere adds to many artifacts', {
    timeout: 60_000,
  }, async () => {
    const ctx = aContext(organizations++)
    const artifacts: number[] = []
    for (let index = 0; index < 53; index++) artifacts.push(await anArtifact(ctx, `a${index}`))
    const shape = { packages: 10, findings: 10, engines: ['trivy', 'syft'] } as const
    for (const artifact of artifacts) await scan(ctx, artifact, { ...shape, without: (n) => n < 5 })
    await scan(ctx, artifacts[0]!, { ...shape, build: BUILT + DAY / 2 })

    expect((await counted(ctx, artifacts.slice(1))).every(({ total }) => total === 5)).toBe(true)
    const work = await ctx.db.first<{ id: string; message: string }>(
      statement('SELECT id, message FROM outbox WHERE org = ?', ctx.organization.num),
    )
    const message = JSON.parse(work!.message) as {
      kind: string
      seq: number
      after: number
      outboxId: string
    }
    expect(message).toMatchObject({ kind: 'artifacts.recount', outboxId: work!.id })
    expect(await recountArtifacts(ctx, message)).toBeNull()
    expect((await counted(ctx, artifacts)).every(({ total }) => total === 10)).toBe(true)

    const { rowsWritten } = ctx.db.meter
    expect(await recountArtifacts(ctx, message)).toBeNull()
    expect(ctx.db.meter.rowsWritten).toBe(rowsWritten)
    expect(await ctx.db.all(statement('SELECT * FROM recounts WHERE org = ?', ctx.organization.num))).toEqual(
      [],
    )
  })

  it('writes one row for each artifact that a verdict reaches, in slices of 500, and lists it before any', {
    timeout: 120_000,
  }, async () => {
    const written: Record<number, number> = {}
    for (const holders of [600, 3000]) {
      const ctx = aContext(organizations++)
      const [copied, scanned] = [await anArtifact(ctx, 'a'), await anArtifact(ctx, 'b')]
      const shape = { packages: 10, findings: 10, engines: ['trivy', 'syft'] } as const
      for (const artifact of [copied, scanned]) await scan(ctx, artifact, { ...shape, without: (n) => n < 1 })
      await copyArtifact(ctx, copied, holders - 2)
      await scan(ctx, scanned, { ...shape, build: BUILT + DAY / 2 })

      const list = await listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, '/api/vulnerabilities'))
      expect(list.data).toHaveLength(10)
      expect(list.data.every(({ affected }) => affected === holders)).toBe(true)
      const work = { ...(await workOf(ctx)), after: 0 }
      const before = ctx.db.meter.rowsWritten
      let slices = 0
      for (let after: number | null = 0; after !== null; slices++) {
        const start = ctx.db.meter.rowsWritten
        after = await recountArtifacts(ctx, { ...work, after }, 1)
        expect(ctx.db.meter.rowsWritten - start).toBeLessThanOrEqual(500 + 3) // the image's copy, the work's end
      }
      written[holders] = ctx.db.meter.rowsWritten - before
      expect(slices).toBeGreaterThanOrEqual(holders / 500)
      expect(slices).toBeLessThanOrEqual(holders / 500 + 2)
      const wrong = await ctx.db.all(
        statement(
          'SELECT id FROM artifacts WHERE org = ? AND critical + high + medium + low + unknown <> 10',
          ctx.organization.num,
        ),
      )
      expect(wrong).toEqual([])
    }
    expect(written[3000]! - written[600]!).toBe(2400)
    expect(written[600]).toBeLessThanOrEqual(600 + 3)
  })

  const workOf = async (ctx: Context) => {
    const row = await ctx.db.first<{ seq: number }>(
      statement('SELECT seq FROM recounts WHERE org = ?', ctx.organization.num),
    )
    return row!
  }

  /** Artifacts that hold and show what this one does. */
  async function copyArtifact(ctx: Context, artifact: number, copies: number) {
    const org = ctx.organization.num
    const row = await ctx.db.first<Record<string, unknown>>(
      statement('SELECT * FROM artifacts WHERE id = ?', artifact),
    )
    const columns = Object.keys(row!)
      .filter((name) => !['id', 'digest'].includes(name))
      .join(', ')
    const numbers = `WITH RECURSIVE copies(n) AS
      (SELECT 1 + (SELECT max(id) FROM artifacts) UNION ALL SELECT n + 1 FROM copies LIMIT ?2)`
    await ctx.db.batch([
      statement(
        `${numbers} INSERT INTO artifact_packages (org, artifact, package, registry, since)
          SELECT org, n, package, registry, since FROM copies CROSS JOIN artifact_packages WHERE org = ?3 AND artifact = ?1`,
        ...[artifact, copies, org],
      ),
      statement(
        `UPDATE packages SET holders = holders + ?2
          WHERE id IN (SELECT package FROM artifact_packages WHERE org = ?3 AND artifact = ?1)`,
        ...[artifact, copies, org],
      ),
      statement(
        `${numbers} INSERT INTO artifacts (id, digest, ${columns})
          SELECT n, 'sha256:' || printf('%064d', n), ${columns} FROM copies CROSS JOIN artifacts WHERE id = ?1`,
        ...[artifact, copies],
      ),
    ])
  }

  it('counts few others in the same batch, with their images', async () => {
    const ctx = aContext(organizations++)
    const [a, b] = [await anArtifact(ctx, 'a'), await anArtifact(ctx, 'b')]
    const shape = { packages: 10, findings: 10, engines: ['trivy', 'syft'] } as const
    for (const artifact of [a, b]) await scan(ctx, artifact, { ...shape, without: (n) => n < 5 })
    await scan(ctx, a, { ...shape, build: BUILT + DAY / 2 })
    expect(await counted(ctx, [b])).toEqual([{ total: 10 }])
    const image = await ctx.db.first(
      statement(
        'SELECT critical + high + medium + low + unknown AS total FROM images WHERE latest_artifact = ?',
        b,
      ),
    )
    expect(image).toEqual({ total: 10 })
  })
})
