import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { AdvisorySource } from '../../../dev/sample/advisories/advisory.ts'
import { intervalsOf } from '../../../dev/sample/advisories/intervals.ts'
import { joinRecords } from '../../../dev/sample/advisories/join-records.ts'
import { osvRecord } from '../../../dev/sample/advisories/osv-record.ts'
import { preferredAffected } from '../../../dev/sample/advisories/preferred-affected.ts'
import { readAdvisories } from '../../../dev/sample/advisories/read-advisories.ts'
import { scoreVector, severityOfScore } from '../../../dev/sample/advisories/score-vector.ts'

const DIRECTORY = join(import.meta.dirname, '../../../dev/sample/advisories')

const aRecord = (source: AdvisorySource, id: string, aliases: string[], more: object = {}) => ({
  source,
  record: osvRecord.parse({
    id,
    aliases,
    affected: [
      {
        package: { ecosystem: 'npm', name: 'left-pad' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }, { fixed: '1.3.0' }] }],
      },
    ],
    ...more,
  }),
})

describe('intervals', () => {
  it('reads several introduced and fixed pairs of one range as an interval each', () => {
    const events = [{ introduced: '0' }, { fixed: '1.2' }, { introduced: '2.0' }, { last_affected: '2.5' }]
    expect(intervalsOf(events)).toEqual([
      { introduced: null, fixed: '1.2', lastAffected: null },
      { introduced: '2.0', fixed: null, lastAffected: '2.5' },
    ])
  })

  it('leaves an interval that nothing closes without an upper bound', () => {
    const events = [{ introduced: '0' }, { fixed: '0.47.10' }, { introduced: '0.50.0' }]
    expect(intervalsOf(events).at(-1)).toEqual({ introduced: '0.50.0', fixed: null, lastAffected: null })
  })

  it('refuses an interval that closes before it opens', () => {
    expect(() => intervalsOf([{ fixed: '1.0' }])).toThrow()
  })
})

describe('scores', () => {
  it.each([
    ['AV:N/AC:L/Au:S/C:P/I:P/A:P', '2.0', 6.5],
    ['CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:N', '3.0', 6.5],
    ['CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H', '3.1', 10],
    ['CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N', '4.0', 9.3],
  ])('computes the base score of %s', (vector, version, score) => {
    expect(scoreVector(vector)).toEqual({ version, vector, score })
  })

  it('leaves temporal metrics out of the base score', () => {
    const base = 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H'
    expect(scoreVector(`${base}/E:P/RL:O/RC:C`).score).toBe(scoreVector(base).score)
  })

  it('refuses what is not a vector', () => {
    expect(() => scoreVector('HIGH')).toThrow()
  })

  it.each([
    [9, 'CRITICAL'],
    [8.9, 'HIGH'],
    [6.9, 'MEDIUM'],
    [3.9, 'LOW'],
    [0, 'UNKNOWN'],
  ])('bands %d as %s', (score, severity) => {
    expect(severityOfScore(score)).toBe(severity)
  })
})

describe('joining', () => {
  it('makes one advisory of the records that name the same CVE and keeps what each source affects', () => {
    const [advisory, ...rest] = joinRecords([
      aRecord('ghsa', 'GHSA-2222-3333-4444', ['CVE-2021-0001']),
      aRecord('nodejs-wg', 'NSWG-ECO-9', ['CVE-2021-0001']),
    ])
    expect(rest).toEqual([])
    expect(advisory).toMatchObject({ id: 'CVE-2021-0001', aliases: ['GHSA-2222-3333-4444', 'NSWG-ECO-9'] })
    expect(advisory?.affected.map(({ source }) => source)).toEqual(['ghsa', 'nodejs-wg'])
    expect(preferredAffected(advisory!).map(({ source }) => source)).toEqual(['ghsa'])
  })

  it('joins a record without a CVE by the GHSA id that another record ties to one', () => {
    const advisories = joinRecords([
      aRecord('govulndb', 'GO-2022-1', ['GHSA-2222-3333-4444']),
      aRecord('ghsa', 'GHSA-2222-3333-4444', ['CVE-2021-0001']),
    ])
    expect(advisories.map(({ id }) => id)).toEqual(['CVE-2021-0001'])
  })

  it('gives a record with several CVEs to each of them and never mixes those', () => {
    const advisories = joinRecords([aRecord('pypa', 'PYSEC-2021-1', ['CVE-2021-0001', 'CVE-2021-0002'])])
    expect(advisories.map(({ id, aliases }) => [id, aliases])).toEqual([
      ['CVE-2021-0001', ['PYSEC-2021-1']],
      ['CVE-2021-0002', ['PYSEC-2021-1']],
    ])
  })

  it('leaves severity unknown where the source has neither label nor vector', () => {
    const [advisory] = joinRecords([aRecord('pypa', 'PYSEC-2021-1', ['CVE-2021-0001'])])
    expect(advisory?.ratings).toEqual([])
    expect(advisory?.affected[0]?.severity).toBe('UNKNOWN')
  })

  it("reads GitHub's MODERATE as MEDIUM and prefers the label to the vector's band", () => {
    const vector = 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H'
    const more = {
      severity: [{ type: 'CVSS_V3', score: vector }],
      database_specific: { severity: 'MODERATE' },
    }
    const [advisory] = joinRecords([aRecord('ghsa', 'GHSA-2222-3333-4444', ['CVE-2021-0001'], more)])
    expect(advisory?.ratings).toMatchObject([{ source: 'ghsa', severity: 'MEDIUM', cvss: [{ score: 7.5 }] }])
  })
})

describe('the snapshot', () => {
  const advisories = readAdvisories()

  it('holds as many records as its README says', () => {
    const readme = readFileSync(join(DIRECTORY, 'README.md'), 'utf8')
    const rows = [...readme.matchAll(/^\| `([a-z0-9.-]+\.ndjson)` *\| (\d+)/gm)]
    expect(rows).toHaveLength(7)
    for (const [, file, count] of rows) {
      expect(readFileSync(join(DIRECTORY, file!), 'utf8').trim().split('\n')).toHaveLength(Number(count))
    }
  })

  it('lists every advisory once, by id', () => {
    const ids = advisories.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids.length).toBeGreaterThan(1000)
  })

  it('names Python projects as PEP 503 compares them', () => {
    const names = advisories.flatMap(({ affected }) =>
      affected.filter(({ ecosystem }) => ecosystem === 'pypi').map(({ packageName }) => packageName),
    )
    expect(names.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))).toEqual([])
  })

  it('rates nothing that no source rates', () => {
    const debianOnly = advisories.filter(({ affected }) =>
      affected.every(({ source }) => source === 'debian'),
    )
    const unrated = debianOnly.filter(({ ratings }) => ratings.length === 0)
    expect(unrated.length).toBeGreaterThan(100)
    expect(unrated.flatMap(({ affected }) => affected).every(({ severity }) => severity === 'UNKNOWN')).toBe(
      true,
    )
  })
})
