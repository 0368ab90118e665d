import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { type Database, type Statement, statement } from '../../../src/db/database.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import { retireArtifact, retireArtifacts } from '../../../src/risk/findings/retire.ts'
import { aContext, anArtifact, untag } from '../context.ts'
import { aResult, BUILT, type ResultShape } from '../results.ts'
import { interleave } from './interleave.ts'
import { observe } from './observed.ts'

let organizations = 40_000
const anOrganization = () => aContext(organizations++)

const scan = (ctx: Context, artifact: number, shape: ResultShape = {}, finish: Statement[] = []) =>
  ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: BUILT, result: aResult(shape), finish })

const tag = (org: number, artifact: number) =>
  statement(
    'INSERT INTO tag_artifacts (org, tag_id, artifact) VALUES (?, ?, ?)',
    org,
    `tag_${artifact}`,
    artifact,
  )

const live = async (ctx: Context, artifact: number) =>
  (await ctx.db.first<{ live: number }>(statement('SELECT live FROM artifacts WHERE id = ?', artifact)))?.live

describe('retireArtifact', () => {
  it('leaves alone what a tag names or a pin holds', async () => {
    const ctx = anOrganization()
    const [tagged, pinned] = [await anArtifact(ctx, 'tagged'), await anArtifact(ctx, 'pinned')]
    await untag(ctx, pinned)
    await ctx.db.run(statement('UPDATE artifacts SET pinned_until = ? WHERE id = ?', ctx.now + 1, pinned))
    for (const artifact of [tagged, pinned]) await scan(ctx, artifact, { packages: 20, findings: 20 })
    const before = await observe(ctx)
    for (const artifact of [tagged, pinned]) await retireArtifact(ctx, artifact)
    expect(await observe(ctx)).toEqual(before)
    expect(await live(ctx, tagged)).toBe(1)
  })

  it('takes links, places, exclusions and verdicts that nobody else shows, in slices, and again without effect', async () => {
    const ctx = anOrganization()
    const [leaving, staying] = [await anArtifact(ctx, 'leaving'), await anArtifact(ctx, 'staying')]
    const small = { packages: 600, findings: 300, from: 500 }
    await scan(ctx, staying, small)
    const alone = await observe(ctx)
    await scan(ctx, leaving, { packages: 1100, findings: 1500 })
    expect((await observe(ctx)).verdicts.length).toBeGreaterThan(alone.verdicts.length)
    await untag(ctx, leaving)
    expect(await retireArtifact(ctx, leaving)).toEqual({ more: false })
    const after = await observe(ctx)
    expect({ ...after, images: null }).toEqual({ ...alone, images: null })
    const rows = await ctx.db.batch(
      ['overrides', 'artifact_locations', 'artifact_packages'].map((table) =>
        statement(`SELECT * FROM ${table} WHERE org = ? AND artifact = ?`, ctx.organization.num, leaving),
      ),
    )
    expect(rows.map((result) => result.rows.length)).toEqual([0, 0, 0])
    const written = ctx.db.meter.rowsWritten
    await retireArtifact(ctx, leaving)
    expect(ctx.db.meter.rowsWritten).toBe(written)
  })

  it('is undone by the next scan', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'back')
    await scan(ctx, artifact)
    const before = await observe(ctx)
    await untag(ctx, artifact)
    await retireArtifact(ctx, artifact)
    expect((await observe(ctx)).findings).toEqual({})
    await scan(ctx, artifact)
    expect(await observe(ctx)).toEqual(before)
  })

  it('is asked for again by a scan that ends after the last tag moved away', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'late')
    await scan(ctx, artifact)
    const messages = () =>
      ctx.db.all(statement('SELECT message FROM outbox WHERE org = ?', ctx.organization.num))
    expect(await messages()).toEqual([])
    await untag(ctx, artifact)
    await scan(ctx, artifact)
    expect(await messages()).toEqual([{ message: expect.stringContaining('"artifacts.retire"') }])
  })

  it('is undone half way by a scan, and leaves no verdict that nobody shows', async () => {
    const ctx = anOrganization()
    const other = aContext(ctx.organization.num)
    const artifact = await anArtifact(ctx, 'half')
    const shape = { packages: 700, findings: 700, engines: ['trivy', 'syft'] } as const
    await scan(ctx, artifact, shape)
    await untag(ctx, artifact)
    const [run] = aResult(shape).engines
    const silent = { ...aResult({ ...shape, without: () => true }), engines: [run!] }
    const back = async (db: Database) => {
      await db.run(tag(ctx.organization.num, artifact))
      const input = { artifact, scanId: 'scn', scannedAt: BUILT, result: silent, finish: [] }
      await ingestResult({ ...other, db }, input)
    }
    await interleave([ctx.db, other.db], [(db) => retireArtifact({ ...ctx, db }, artifact), back], 'aaab')
    const { findings, verdicts, packages } = await observe(ctx)
    expect({ findings, verdicts }).toEqual({ findings: {}, verdicts: [] })
    expect(Object.keys(packages)).toHaveLength(700)
    expect(await live(ctx, artifact)).toBe(1)
  })

  it('finds the artifacts of an image that no tag names', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'untagged')
    await scan(ctx, artifact, { packages: 5, findings: 5 })
    await untag(ctx, artifact)
    const image = `img_${ctx.organization.num}_untagged`
    expect(await retireArtifacts(ctx, image)).toEqual({ more: false })
    expect(await live(ctx, artifact)).toBe(0)
    const rowsWritten = ctx.db.meter.rowsWritten
    expect(await retireArtifacts(ctx, image)).toEqual({ more: false })
    expect(ctx.db.meter.rowsWritten).toBe(rowsWritten)
  })
})
