import { describe, expect, it } from 'vitest'
import { type Database, type Statement, statement } from '../../../src/db/database.ts'
import { recountArtifacts } from '../../../src/risk/findings/recount.ts'
import { retireArtifacts } from '../../../src/risk/findings/retire.ts'
import { aContext } from '../context.ts'
import { endingAfter } from './ending.ts'
import { artifactsOf, aWorld, happen, randomStep } from './histories.ts'
import { observe } from './observed.ts'
import { scan, V, W } from './small-steps.ts'
import { dice } from './world.ts'

let organizations = 80_000

const SMALL = { characters: 600, pairs: 3 }
const LIMITS = [undefined, SMALL, { ...SMALL, whole: 0, window: 6, held: 100, value: 20 }]

/** Every statement that went through, once. */
function recorded(db: Database, seen: Map<string, Statement>): Database {
  const keep = (query: Statement) => seen.set(query.sql, query)
  return new Proxy(db, {
    get(target, name) {
      const member = Reflect.get(target, name, target) as unknown
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (name === 'batch') for (const query of args[0] as Statement[]) keep(query)
        if (name === 'all' || name === 'first' || name === 'run') keep(args[0] as Statement)
        return member.apply(target, args)
      }
    },
  })
}

const TABLES =
  'artifacts|images|tags|tag_artifacts|packages|artifact_packages|artifact_locations|matches|vulnerabilities|advisory_texts|overrides|resolutions'
/** By the organization alone: a walk over everything that it owns. */
const WALK = new RegExp(`SCAN (${TABLES}|a|m|v|ap|p|i|o|t)\\b|SEARCH (?!ingest_state).*\\(org=\\?\\)`)

describe('the statements on findings', () => {
  it('never walk a table or an organization', async () => {
    const plain = aContext(organizations++)
    const seen = new Map<string, Statement>()
    const ctx = { ...plain, db: recorded(plain.db, seen) }
    const world = aWorld(5)
    const random = dice(5)
    const ids = await artifactsOf(plain, world)
    for (let tick = 0; tick < 60; tick++) {
      await happen(ctx, ids, randomStep(world, random, tick), LIMITS[tick % 3])
    }
    const large = scan('b', 40, { trivy: [40, [V, W]], grype: [40, [V, W]], osv: [40, [V, W]] })
    const ended = { ...ctx, db: endingAfter(ctx.db, 3) }
    await expect(happen(ended, ids, large, SMALL, 'scn_large')).rejects.toThrow()
    await happen(ctx, ids, scan('b', 41, { trivy: [41, []], grype: [41, []], osv: [41, []] }))
    expect((await observe(plain)).totals.unfinished).not.toBeNull()
    await happen(ctx, ids, large, SMALL, 'scn_large')
    expect((await observe(plain)).totals.unfinished).toBeNull()
    await happen(ctx, ids, { kind: 'retire', artifact: 'a' })
    await retireArtifacts(ctx, `img_${ctx.organization.num}_b`)
    await recountArtifacts(ctx, { seq: 1, after: 0 })
    expect(seen.size).toBeGreaterThan(25)
    const walks: string[] = []
    for (const { sql, params } of seen.values()) {
      const plan = await plain.db.all<{ detail: string }>(statement(`EXPLAIN QUERY PLAN ${sql}`, ...params))
      for (const { detail } of plan)
        if (WALK.test(detail)) walks.push(`${detail} ← ${sql.replace(/\s+/g, ' ').slice(0, 200)}`)
    }
    expect(walks).toEqual([])
  })
})
