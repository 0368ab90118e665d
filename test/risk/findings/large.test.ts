import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { type Database, type Statement, statement } from '../../../src/db/database.ts'
import { type IngestInput, ingestResult } from '../../../src/risk/findings/ingest.ts'
import type { BatchLimits } from '../../../src/risk/findings/limits.ts'
import { decodeLocations } from '../../../src/risk/findings/locations.ts'
import { forgetLeftPages } from '../../../src/risk/findings/pages.ts'
import { openResult, type ResultSource } from '../../../src/scanning/results/index.ts'
import type { Result } from '../../../src/scanning/sensors/result.ts'
import { bytesOf, opened } from '../../scanning/results/documents.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY } from '../results.ts'
import { endingAfter } from './ending.ts'
import { observe } from './observed.ts'

let organizations = 90_000
const HOUR = 3_600_000

/** As if these small results were huge: many windows, and nearly every value of the last batch in a page. */
const WINDOWS: Partial<BatchLimits> = { whole: 0, window: 50, held: 500, value: 50 }
const AHEAD: Partial<BatchLimits> = { ...WINDOWS, characters: 8000 }

const BEFORE = { packages: 40, findings: 60, engines: ['trivy', 'grype', 'syft'] } as const
const AFTER = { ...BEFORE, packages: 45, findings: 90, from: 6, build: BUILT + DAY / 2 }

const ingest = (
  ctx: Context,
  artifact: number,
  result: Result | ResultSource,
  limits: Partial<BatchLimits> = {},
  finish: IngestInput['finish'] = [],
) => ingestResult(ctx, { artifact, scanId: 'scn_large', scannedAt: BUILT, result, finish }, limits)

/** Two artifacts that share packages; returns the one that was scanned with an older database. */
async function anOrganization(): Promise<{ ctx: Context; artifact: number }> {
  const ctx = aContext(organizations++)
  const artifact = await anArtifact(ctx, 'a')
  await ingest(ctx, artifact, aResult(BEFORE))
  await ingest(ctx, await anArtifact(ctx, 'b'), aResult({ ...BEFORE, from: 20, build: BUILT + DAY / 4 }))
  return { ctx, artifact }
}

const later = (without: (finding: number) => boolean = (finding) => finding % 9 === 0) =>
  aResult({ ...AFTER, without })

const pagesOf = ({ db, organization: { num } }: Context) =>
  db.all(statement('SELECT page FROM ingest_pages WHERE org = ?', num))

describe('a large result', () => {
  it.each([
    ['a first scan', null],
    ['a changed rescan', BEFORE],
  ])('ends as it would in one batch: %s', async (_what, before) => {
    const seen = []
    for (const limits of [{}, WINDOWS, AHEAD]) {
      const ctx = aContext(organizations++)
      const artifact = await anArtifact(ctx, 'a')
      if (before) await ingest(ctx, artifact, aResult(before))
      await ingest(ctx, artifact, later(), limits)
      seen.push({ ...(await observe(ctx)), places: await placesOf(ctx) })
      expect(await pagesOf(ctx)).toEqual([])
    }
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
  })

  it('shows nothing before its last batch, wherever it ends, and is what it would be when it runs again', {
    timeout: 120_000,
  }, async () => {
    const { ctx: whole, artifact: other } = await anOrganization()
    const before = await observe(whole)
    await ingest(whole, other, later(), WINDOWS)
    const expected = await observe(whole)
    expect(expected.findings).not.toEqual(before.findings)
    let ends = 0
    for (let k = 1; ; k++) {
      const { ctx, artifact } = await anOrganization()
      const ended = await ingest({ ...ctx, db: endingAfter(ctx.db, k) }, artifact, later(), WINDOWS).then(
        () => false,
        () => true,
      )
      const shown = await observe(ctx)
      if (JSON.stringify(shown.findings) !== JSON.stringify(expected.findings)) {
        expect({ ...shown, packages: null }).toEqual({ ...before, packages: null })
        ends++
      }
      await ingest(ctx, artifact, later(), WINDOWS)
      expect(await observe(ctx)).toEqual(expected)
      expect(await pagesOf(ctx)).toEqual([])
      if (!ended) break
    }
    expect(ends).toBeGreaterThan(8)
  })

  it('that is delivered twice at once is applied once', async () => {
    const { ctx, artifact } = await anOrganization()
    const twice = [1, 2].map(() =>
      ingest({ ...ctx, db: aContext(ctx.organization.num).db }, artifact, later(), WINDOWS),
    )
    await Promise.all(twice)
    const { ctx: once, artifact: other } = await anOrganization()
    await ingest(once, other, later(), WINDOWS)
    expect(await observe(ctx)).toEqual(await observe(once))
    expect(await pagesOf(ctx)).toEqual([])
  })

  it('leaves pages for three hours at most', async () => {
    const { ctx, artifact } = await anOrganization()
    for (let k = 1; (await pagesOf(ctx)).length === 0; k++) {
      await ingest({ ...ctx, db: endingAfter(ctx.db, k) }, artifact, later(), WINDOWS).catch(() => {})
    }
    await ctx.db.run(forgetLeftPages(ctx.now + HOUR, 1000))
    expect(await pagesOf(ctx)).not.toEqual([])
    await ctx.db.run(forgetLeftPages(ctx.now + 4 * HOUR, 1000))
    expect(await pagesOf(ctx)).toEqual([])
  })

  it('that says the same writes 7 rows at most', async () => {
    const { ctx, artifact } = await anOrganization()
    await ingest(ctx, artifact, later(), WINDOWS)
    const { rowsWritten } = ctx.db.meter
    await ingest(ctx, artifact, later(), WINDOWS)
    expect(ctx.db.meter.rowsWritten - rowsWritten).toBeLessThanOrEqual(7)
  })

  it('is read, held and written in bounded pieces', { timeout: 120_000 }, async () => {
    const ctx = aContext(organizations++)
    const artifact = await anArtifact(ctx, 'a')
    const bytes = bytesOf(JSON.stringify(aResult({ packages: 40_000, findings: 9000 })))
    expect(bytes.length).toBeGreaterThan(15_000_000)
    const sizes: number[] = []
    const batches: number[] = []
    const db = sized(ctx.db, sizes, batches)
    const source = (await openResult(opened(bytes, 65_536)))!
    await ingest({ ...ctx, db }, artifact, source)
    const [row] = await ctx.db.all<{ packages: number; links: number }>(
      statement(
        `SELECT packages, (SELECT count(*) FROM artifact_packages WHERE org = ?1) AS links FROM artifacts WHERE org = ?1`,
        ctx.organization.num,
      ),
    )
    expect(row).toEqual({ packages: 40_000, links: 40_000 })
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000_000)
    expect(Math.max(...batches)).toBeLessThanOrEqual(4_000_000)
    expect(batches.length).toBeGreaterThan(15)
    const { rowsWritten } = ctx.db.meter
    await ingest(ctx, artifact, (await openResult(opened(bytes, 65_536)))!)
    expect(ctx.db.meter.rowsWritten - rowsWritten).toBeLessThanOrEqual(7)
  })
})

/** Notes how many characters each value and each batch has, and how many rows come back at once. */
function sized(db: Database, values: number[], batches: number[]): Database {
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      if (name !== 'batch') return member.bind(target)
      return async (statements: readonly Statement[]) => {
        const sizes = statements.flatMap(({ params }) => params.map((value) => String(value ?? '').length))
        values.push(...sizes)
        batches.push(sizes.reduce((sum, size) => sum + size, 0))
        const results = await target.batch(statements)
        expect(results.reduce((sum, { rows }) => sum + rows.length, 0)).toBeLessThanOrEqual(25_000)
        return results
      }
    },
  })
}

async function placesOf({ db, organization: { num } }: Context): Promise<string[]> {
  const rows = await db.all<{ data: string }>(
    statement('SELECT data FROM artifact_locations WHERE org = ?', num),
  )
  const decoded = await Promise.all(rows.map(({ data }) => decodeLocations(data)))
  return decoded.flatMap((places) => [...places.values()].map((place) => JSON.stringify(place))).sort()
}

describe('an unchanged rescan', () => {
  it('adds nothing to the database, however often', async () => {
    const { ctx, artifact } = await anOrganization()
    const size = async () =>
      (await (env as unknown as { SHARD_00: D1Database }).SHARD_00.prepare('SELECT 1').run()).meta.size_after
    const rescan = (times: number) =>
      ingest(ctx, artifact, aResult({ ...BEFORE, build: BUILT + DAY / 2 + times }), {}, [])
    await rescan(0)
    const before = await size()
    const RESCANS = 40
    for (let times = 1; times <= RESCANS; times++) await rescan(times)
    expect(((await size()) - before) / RESCANS).toBeLessThanOrEqual(1024)
  })
})
