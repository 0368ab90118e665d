import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { type Database, type Statement, statement } from '../../../src/db/database.ts'
import { readPage } from '../../../src/http/pages.ts'
import { ingestResult } from '../../../src/risk/findings/ingest.ts'
import type { BatchLimits } from '../../../src/risk/findings/limits.ts'
import { retireArtifact } from '../../../src/risk/findings/retire.ts'
import { listVulnerabilities, vulnerabilityStatements } from '../../../src/risk/vulnerabilities/list.ts'
import { VULNERABILITY_LIST } from '../../../src/risk/vulnerabilities/list-spec.ts'
import { aContext, anArtifact, untag } from '../context.ts'
import { aResult, BUILT, type ResultShape } from '../results.ts'

let organizations = 74_100
const SHAPE = { packages: 60, findings: 90 }
const MANY_BATCHES: Partial<BatchLimits> = { characters: 5000, pairs: 20 }

const scan = (
  ctx: Context,
  artifact: number,
  { scanId = 'scn_1', ...shape }: ResultShape & { scanId?: string } = {},
  limits: Partial<BatchLimits> = {},
) =>
  ingestResult(
    ctx,
    { artifact, scanId, scannedAt: BUILT, result: aResult({ ...SHAPE, ...shape }), finish: [] },
    limits,
  )

const request = (filter: string) => readPage(VULNERABILITY_LIST, `/api/x?limit=200${filter}`)

/** The total of a list, how many rows it really has, and the rows that counting read. */
async function totalOf(ctx: Context, filter = '') {
  const { data, meta } = await listVulnerabilities(ctx, request(filter))
  const before = ctx.db.meter.rowsRead
  await ctx.db.all(vulnerabilityStatements(ctx.organization.num, request(filter)).total!)
  return { total: meta.total, listed: data.length, read: ctx.db.meter.rowsRead - before }
}

/** Ends before the batch that would be one more with such a statement. */
function endingAfter(db: Database, batches: number, start: string): Database {
  let left = batches
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      if (name !== 'batch') return member.bind(target)
      return (...args: unknown[]) => {
        const such = (args[0] as Statement[]).some(({ sql }) => sql.startsWith(start))
        if (such && left-- <= 0) throw new Error('worker ended')
        return (member as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
}

const KEPT_ROWS = 2

describe('the total of a list', () => {
  it.each(['', '&severity=HIGH', '&severity=CRITICAL,LOW', '&status=OPEN', '&status=OPEN&severity=MEDIUM'])(
    'is kept, not counted (%s)',
    async (filter) => {
      const ctx = aContext(organizations++)
      await scan(ctx, await anArtifact(ctx, 'a'))
      await scan(ctx, await anArtifact(ctx, 'b'), { from: 20, without: (n) => n % 3 === 0 })
      const { total, listed, read } = await totalOf(ctx, filter)
      expect(listed).toBeGreaterThan(0)
      expect(total).toBe(listed)
      expect(read).toBeLessThanOrEqual(KEPT_ROWS)
    },
  )

  it('of what is open leaves out what is decided', async () => {
    const ctx = aContext(organizations++)
    const org = ctx.organization.num
    await scan(ctx, await anArtifact(ctx, 'a'))
    const all = await totalOf(ctx)
    const decide = 'UPDATE matches SET status = 3 WHERE id = (SELECT min(id) FROM matches WHERE org = ?)'
    await ctx.db.run(statement(decide, org))
    const open = await totalOf(ctx, '&status=OPEN')
    expect(open).toMatchObject({ total: all.total - 1, listed: all.total - 1 })
    expect(open.read).toBeLessThanOrEqual(KEPT_ROWS + 1)
    for (const severity of ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN']) {
      const { total, listed } = await totalOf(ctx, `&status=OPEN&severity=${severity}`)
      expect(total).toBe(listed)
    }
    expect(await totalOf(ctx)).toEqual(all)
  })

  it('leaves out what was written ahead and shows nowhere, until the same scan is ingested again', async () => {
    const ctx = aContext(organizations++)
    const [small, large] = [await anArtifact(ctx, 'small'), await anArtifact(ctx, 'large')]
    await scan(ctx, small, { packages: 5, findings: 5 })
    const before = await totalOf(ctx)
    const cut = { ...ctx, db: endingAfter(ctx.db, 3, 'INSERT INTO matches') }
    await expect(scan(cut, large, {}, MANY_BATCHES)).rejects.toThrow('worker ended')
    const between = await totalOf(ctx)
    const [stored] = await ctx.db.all<{ n: number }>(
      statement('SELECT count(*) AS n FROM matches WHERE org = ?', ctx.organization.num),
    )
    expect(stored!.n).toBeGreaterThan(before.total)
    expect(between.total).toBe(between.listed)
    await scan(ctx, small, {
      packages: 5,
      findings: 5,
      scanId: 'scn_2',
      build: BUILT + 1,
      without: (n) => n === 1,
    })
    const meanwhile = await totalOf(ctx)
    expect(meanwhile.total).toBe(meanwhile.listed)
    await scan(ctx, large, {}, MANY_BATCHES)
    const after = await totalOf(ctx)
    expect(after.total).toBe(after.listed)
    expect(after.read).toBeLessThanOrEqual(KEPT_ROWS)
  })

  it.each([1, 2])('leaves out what a retirement has left to withdraw (%i slices done)', async (slices) => {
    const ctx = aContext(organizations++)
    const [staying, leaving] = [await anArtifact(ctx, 'staying'), await anArtifact(ctx, 'leaving')]
    await scan(ctx, staying, { packages: 20, findings: 20 })
    await scan(ctx, leaving, { packages: 1500, findings: 600, from: 10 })
    await untag(ctx, leaving)
    const cut = { ...ctx, db: endingAfter(ctx.db, slices, 'DELETE FROM artifact_packages') }
    await expect(retireArtifact(cut, leaving)).rejects.toThrow('worker ended')
    const half = await totalOf(ctx)
    expect(half.total).toBe(half.listed)
    expect(half.read).toBeGreaterThan(KEPT_ROWS)
    await retireArtifact(ctx, leaving)
    const after = await totalOf(ctx)
    expect(after.total).toBe(after.listed)
    expect(after.read).toBeLessThanOrEqual(KEPT_ROWS)
  })
})
