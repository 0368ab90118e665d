import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nextRun } from '../../../src/inventory/registries/next-run.ts'
import {
  byVersion,
  type KnownTag,
  latestOf,
  tagChanges,
} from '../../../src/inventory/registries/sync/tag-changes.ts'
import { isTagGlob, tagPasses } from '../../../src/inventory/registries/tag-glob.ts'

const DAY = 24 * 3_600_000
const tagName = fc.stringMatching(/^[a-c0-2][a-c0-2.-]{0,5}$/)

describe('A tag filter', () => {
  it.each([
    ['v1', null, null, true],
    ['v1', 'v*', null, true],
    ['v1', 'v?', null, true],
    ['v10', 'v?', null, false],
    ['latest', 'v*, latest', null, true],
    ['v1-dev', 'v*', '*-dev', false],
    ['v1', null, '*', false],
    ['V1', 'v*', null, false],
    ['v1', '', null, false],
    ['aXbXc', 'a*b*c', null, true],
    ['v1.2', 'v1?2', null, true],
    ['v1', 'v1*', null, true],
  ])('%s with include %s and exclude %s passes: %s', (tag, include, exclude, passes) => {
    expect(tagPasses(tag, include, exclude)).toBe(passes)
  })

  it('agrees with the regular expression that the glob means', () => {
    const glob = fc.stringMatching(/^[ab*?]{1,6}$/)
    fc.assert(
      fc.property(glob, fc.stringMatching(/^[ab]{1,8}$/), (pattern, tag) => {
        const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(tag)
        return tagPasses(tag, pattern, null) === expected && tagPasses(tag, null, pattern) === !expected
      }),
    )
  })

  it('takes no time that grows with the stars of a hostile pattern', () => {
    const hostile = `${'*a'.repeat(200)}b`
    const started = performance.now()
    expect(tagPasses('a'.repeat(128), hostile, null)).toBe(false)
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('holds nothing but characters of tags and wild cards', () => {
    expect(['v*', 'a,b c', '?'].every(isTagGlob)).toBe(true)
    expect(['a/b', '[a]', 'é', "'"].some(isTagGlob)).toBe(false)
  })
})

describe('The next run', () => {
  it('is after now, within one period, and at the same minute every time', () => {
    const id = fc.stringMatching(/^reg_[0-9a-z]{20}$/)
    const now = fc.integer({ min: 0, max: 4_000_000_000_000 })
    fc.assert(
      fc.property(id, now, fc.constantFrom('daily' as const, 'weekly' as const), (registry, at, schedule) => {
        const period = schedule === 'daily' ? DAY : 7 * DAY
        const next = nextRun(schedule, registry, at)!
        return (
          next > at &&
          next - at <= period &&
          next % 60_000 === 0 &&
          nextRun(schedule, registry, next) === next + period
        )
      }),
    )
  })

  it('is spread over the day and is none for manual', () => {
    const minutes = Array.from({ length: 2000 }, (_, i) => nextRun('daily', `reg_${i}`, 0)! % DAY)
    expect(new Set(minutes).size).toBeGreaterThan(900)
    expect(nextRun('manual', 'reg_1', 0)).toBeNull()
  })
})

describe('What a tag list changes', () => {
  const known = (name: string, more: Partial<KnownTag> = {}): KnownTag => ({
    ...{ id: `tag_${name}`, name, digest: 'sha256:1', artifact: null, movedAt: 1 },
    ...more,
  })

  it('ends with exactly the listed tags that pass, whatever was known and never scanned', () => {
    const names = fc.uniqueArray(tagName, { maxLength: 12 })
    fc.assert(
      fc.property(names, names, fc.constantFrom(null, 'a*', '*1'), (listed, before, exclude) => {
        const filter = { include: null, exclude }
        const tags = before.map((name) => known(name))
        const { added, removed } = tagChanges(listed, true, tags, filter, 40)
        const gone = new Set(removed.map(({ name }) => name))
        const after = [...before.filter((name) => !gone.has(name)), ...added]
        expect(after.sort()).toEqual(listed.filter((name) => tagPasses(name, null, exclude)).sort())
      }),
    )
  })

  it('keeps an excluded tag that was scanned while the registry has it', () => {
    const tags = [known('dev', { artifact: 1 }), known('dev2')]
    const filter = { include: null, exclude: 'dev*' }
    expect(tagChanges(['dev', 'dev2'], true, tags, filter, 9).removed).toEqual([tags[1]])
    expect(tagChanges([], true, tags, filter, 9).removed).toEqual(tags)
  })

  it('removes nothing when the list was not read to its end', () => {
    expect(tagChanges([], false, [known('v1')], { include: null, exclude: null }, 9).removed).toEqual([])
  })

  it('asks for latest first, then new tags from the highest down, then those that moved last, within the limit', () => {
    const tags = [
      known('old', { movedAt: 1 }),
      known('newer', { movedAt: 2 }),
      known('latest'),
      known('open', { digest: null }),
    ]
    const listed = ['old', 'newer', 'latest', 'open', 'v2', 'v10']
    const { toAsk } = tagChanges(listed, true, tags, { include: null, exclude: null }, 5)
    expect(toAsk).toEqual(['latest', 'v10', 'v2', 'open', 'newer'])
  })

  it('orders versions by number', () => {
    expect(['v10', 'v9', 'v1.2', 'v1.10'].sort(byVersion)).toEqual(['v1.2', 'v1.10', 'v9', 'v10'])
  })

  it('shows the tag called latest, else the one that moved last, else the highest', () => {
    expect(
      latestOf([
        { name: 'v1', movedAt: 9 },
        { name: 'latest', movedAt: 1 },
      ]),
    ).toBe('latest')
    expect(
      latestOf([
        { name: 'v1', movedAt: 9 },
        { name: 'v2', movedAt: 1 },
      ]),
    ).toBe('v1')
    expect(
      latestOf([
        { name: 'v9', movedAt: 1 },
        { name: 'v10', movedAt: 1 },
      ]),
    ).toBe('v10')
    expect(latestOf([])).toBeNull()
  })
})
