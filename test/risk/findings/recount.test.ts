import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { statement } from '../../../src/db/database.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { recountArtifacts } from '../../../src/risk/findings/recount.ts'
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
