import { env } from 'cloudflare:workers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import { jsonChunks } from '../../../src/db/json-chunks.ts'
import { newMeter, tenantDb } from '../../../src/db/shards.ts'
import { acceptEngines } from '../../../src/risk/findings/accept.ts'
import { perEngine } from '../../../src/risk/findings/engines.ts'
import { GRADE_SQL, gradeOf, noCounts, RISK_SQL, riskOf } from '../../../src/risk/findings/grade.ts'
import { gzipText } from '../../../src/risk/findings/gzip-text.ts'
import { chunkLocations, decodeLocations, type Location } from '../../../src/risk/findings/locations.ts'
import { mergeVerdicts, preferredScore, type Verdict } from '../../../src/risk/findings/merge.ts'
import {
  contextJson,
  identityOf,
  type PackageIdentity,
  renderPurl,
} from '../../../src/risk/findings/package-key.ts'
import { aResult, BUILT, DAY } from '../results.ts'

const verdict = (change: Partial<Verdict> = {}): Verdict => ({
  severity: 'LOW',
  cvss: null,
  vector: null,
  cvssSource: null,
  cvssVersion: null,
  fixState: 'unknown',
  fixedVersions: [],
  ...change,
})

const scored = (cvssSource: string, cvssVersion: Verdict['cvssVersion'], cvss: number) =>
  verdict({ cvssSource, cvssVersion, cvss, vector: `${cvssSource}/${cvssVersion}` })

describe('mergeVerdicts', () => {
  it.each([
    [
      'the highest severity',
      { trivy: verdict({ severity: 'LOW' }), grype: verdict({ severity: 'HIGH' }) },
      { severity: 3 },
    ],
    ['no score when none gives one', { trivy: verdict() }, { cvss: null, vector: null }],
    [
      'NVD before GHSA',
      { trivy: scored('ghsa', '3.1', 9.8), grype: scored('nvd', '3.1', 5.5) },
      { cvss: 55 },
    ],
    [
      'GHSA before a distribution',
      { trivy: scored('redhat', '3.1', 9.8), grype: scored('ghsa', '2.0', 4) },
      { cvss: 40 },
    ],
    [
      '3.1 before 3.0 of one source',
      { trivy: scored('nvd', '3.0', 9.8), grype: scored('nvd', '3.1', 5.5) },
      { cvss: 55 },
    ],
    ['3.0 before 4.0', { trivy: scored('nvd', '4.0', 9.8), grype: scored('nvd', '3.0', 5.5) }, { cvss: 55 }],
    ['4.0 before 2.0', { trivy: scored('nvd', '2.0', 9.8), grype: scored('nvd', '4.0', 5.5) }, { cvss: 55 }],
    [
      "trivy's of equals",
      { trivy: scored('nvd', '3.1', 9.8), grype: scored('nvd', '3.1', 5.5) },
      { cvss: 98 },
    ],
    [
      'the fix of the first engine that gives one, never compared',
      {
        trivy: verdict(),
        grype: verdict({ fixedVersions: ['1.9', '2.1'] }),
        osv: verdict({ fixedVersions: ['1.0'] }),
      },
      { fixedVersion: '1.9, 2.1' },
    ],
  ])('shows %s', (_, said, merged) => {
    expect(mergeVerdicts(said)).toMatchObject(merged)
  })

  it('prefers no score over nothing', () => expect(preferredScore([])).toBeNull())
})

describe('grade and risk', () => {
  it.each([
    [1, 0, 'D'],
    [0, 4, 'C'],
    [0, 3, 'B'],
    [0, 1, 'B'],
    [0, 0, 'A'],
  ])('of %i critical and %i high is %s', (critical, high, grade) =>
    expect(gradeOf({ critical, high })).toBe(grade),
  )

  it("is the sensor's formula, rounded and bounded", () => {
    expect(riskOf(noCounts())).toBe(0)
    expect(riskOf({ ...noCounts(), high: 1, low: 2, cvssSum: 75, cvssCount: 1 })).toBe(50)
    expect(riskOf({ ...noCounts(), critical: 9 })).toBe(100)
  })

  it('is the same in SQL and in code', async () => {
    const counts = fc.nat({ max: 12 })
    const samples = fc.sample(fc.tuple(counts, counts, counts, counts, fc.nat({ max: 900 }), counts), {
      numRuns: 500,
      seed: 1,
    })
    const rows = await tenantDb(env as never, '00', newMeter())!.all<{ grade: string; risk: number }>(
      statement(
        `SELECT ${GRADE_SQL} AS grade, ${RISK_SQL} AS risk FROM (SELECT value ->> 0 AS critical, value ->> 1 AS high,
           value ->> 2 AS medium, value ->> 3 AS low, value ->> 4 AS cvss_sum, value ->> 5 AS cvss_count
           FROM json_each(?))`,
        JSON.stringify(samples),
      ),
    )
    const expected = samples.map(([critical, high, medium, low, cvssSum, cvssCount]) => {
      const all = { ...noCounts(), critical, high, medium, low, cvssSum, cvssCount }
      return { grade: gradeOf(all), risk: riskOf(all) }
    })
    expect(rows).toEqual(expected)
  })
})

const identity = (change: Partial<PackageIdentity> = {}): PackageIdentity => ({
  type: 'npm',
  namespace: null,
  name: 'lodash',
  version: '4.17.20',
  distro: null,
  source: null,
  module: null,
  owner: null,
  ...change,
})

describe('a package identity', () => {
  it.each([
    [identity(), 'pkg:npm/lodash@4.17.20'],
    [identity({ namespace: '@babel', name: 'core' }), 'pkg:npm/%40babel/core@4.17.20'],
    [
      identity({ type: 'golang', namespace: 'golang.org/x', name: 'text', version: 'v0.3.7' }),
      'pkg:golang/golang.org/x/text@v0.3.7',
    ],
    [
      identity({
        type: 'deb',
        namespace: 'debian',
        name: 'libssl3',
        version: '1:3.0.11-1~deb12u2+b1',
        distro: 'debian-12',
        source: { name: 'openssl', version: '3.0.11-1~deb12u2' },
      }),
      'pkg:deb/debian/libssl3@1:3.0.11-1~deb12u2%2Bb1?distro=debian-12&upstream=openssl%403.0.11-1~deb12u2',
    ],
    [identity({ version: '' }), 'pkg:npm/lodash'],
  ])('is rendered as a purl: %#', (given, purl) => expect(renderPurl(given)).toBe(purl))

  it('is read back from its row, whatever it holds', () => {
    const text = fc.string({ minLength: 1, maxLength: 20 })
    const maybe = fc.option(text)
    const source = fc.option(fc.record({ name: text, version: text }))
    fc.assert(
      fc.property(
        text,
        text,
        maybe,
        maybe,
        source,
        maybe,
        maybe,
        (name, version, namespace, distro, src, module, owner) => {
          const given = identity({ name, version, namespace, distro, source: src, module, owner })
          const own = src?.name === name && src.version === version
          const row = { name, version, type: 'npm', context: contextJson(given) }
          expect(identityOf({ ...row, context: JSON.parse(row.context) })).toEqual({
            ...given,
            source: own ? null : src,
          })
        },
      ),
    )
  })
})

describe('acceptEngines', () => {
  const never = perEngine(() => ({ build: null, scannedAt: null }))
  const last = { ...never, trivy: { build: BUILT, scannedAt: BUILT } }
  const refused = (build: number, scannedAt: number) =>
    acceptEngines(aResult({ engines: ['trivy'], build }), last, scannedAt, BUILT).refused.map(
      ({ code }) => code,
    )

  it.each([
    ['a newer database', BUILT + 1000, 0, []],
    ['the same database and a later scan', BUILT, BUILT, []],
    ['the same database and an earlier scan', BUILT, BUILT - 1, ['scan_older']],
    ['an older database', BUILT - 1000, BUILT + 1000, ['database_older']],
    ['a database of tomorrow', BUILT + DAY, BUILT, []],
    ['a database of later', BUILT + DAY + 1000, BUILT, ['database_from_future']],
  ])('judges %s', (_, build, scannedAt, codes) => expect(refused(build, scannedAt)).toEqual(codes))

  it.each([
    ['the last accepted one, in a later scan', last, BUILT + 5, { trivy: BUILT }, []],
    ['the last accepted one, in an earlier scan', last, BUILT - 1, {}, ['scan_older']],
    ['the beginning of time, in the first scan', never, BUILT, { trivy: 0 }, []],
  ] as const)('counts a database that is not named as that of %s', (_, before, scannedAt, builds, codes) => {
    const result = aResult({ engines: ['trivy'] })
    result.engines[0]!.database = null
    const acceptance = acceptEngines(result, before, scannedAt, BUILT)
    expect(acceptance.builds).toEqual(builds)
    expect(acceptance.refused.map(({ code }) => code)).toEqual(codes)
  })

  it('takes neither failed engines nor unreadable dates', () => {
    const result = aResult({ engines: ['trivy', 'grype'], failed: ['grype'] })
    result.engines[0]!.database!.builtAt = 'someday'
    expect(acceptEngines(result, never, BUILT, BUILT)).toMatchObject({
      accepted: [],
      refused: [{ engine: 'trivy', code: 'database_from_future' }],
    })
  })
})

describe('bounded values', () => {
  it('cuts lists into JSON of at most a megabyte, losing nothing', () => {
    const list = Array.from({ length: 3000 }, (_, index) => [index, 'ü€😀x'.repeat(100)])
    const chunks = jsonChunks(list)
    expect(chunks.length).toBeGreaterThan(3)
    for (const { json } of chunks)
      expect(new TextEncoder().encode(json).length).toBeLessThanOrEqual(1_000_010)
    expect(chunks.flatMap(({ json }) => JSON.parse(json))).toEqual(list)
    expect(chunks.every(({ from, json }) => JSON.parse(json)[0][0] === from)).toBe(true)
  })

  it('cuts locations into values below 500 kB, found by package id', async () => {
    const places = (id: number): Location[] =>
      Array.from({ length: 30 }, (_, index) => [`/srv/${id}/${index}/${crypto.randomUUID()}`, index % 7])
    const locations = new Map(Array.from({ length: 1000 }, (_, index) => [index * 3 + 1, places(index)]))
    const chunks = await chunkLocations(locations)
    expect(chunks.length).toBeGreaterThan(2)
    const found = new Map<number, Location[]>()
    for (const [index, { chunk, json }] of chunks.entries()) {
      const data = await gzipText(json)
      expect(data.length).toBeLessThan(500_000)
      for (const [id, list] of await decodeLocations(data)) {
        expect(id).toBeGreaterThanOrEqual(chunk)
        expect(id).toBeLessThan(chunks[index + 1]?.chunk ?? Number.POSITIVE_INFINITY)
        found.set(id, list)
      }
    }
    expect(found).toEqual(locations)
  })
})
