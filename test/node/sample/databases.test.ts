import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Affected, Ecosystem, Interval } from '../../../dev/sample/advisories/advisory.ts'
import { readAdvisories } from '../../../dev/sample/advisories/read-advisories.ts'
import { SNAPSHOT_BUILT_AT } from '../../../dev/sample/advisories/snapshot.ts'
import {
  constraintsOf,
  grypeVersionRange,
  trivyConstraint,
} from '../../../dev/sample/databases/constraints.ts'
import { writeGrypeDatabase } from '../../../dev/sample/databases/grype-db.ts'
import { trivyDatabase, trivyMetadata } from '../../../dev/sample/databases/trivy-db.ts'
import { writeSampleDatabases } from '../../../dev/sample/databases/write-sample-databases.ts'
import { type ReadBucket, readBolt } from './bolt-reader.ts'

const TRIVY_SHA256 = 'c416228adca4b724d9931917db361ac8b013af95fefe8e158d91ba44a0d7d723'
const GRYPE_SHA256 = '5e998e58eb05077da55c5b1fd01cef4b2e754cdcd5222dc179a6c9caaae202e4'

const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')
const within = (bucket: ReadBucket, ...path: string[]): unknown => {
  const value = path.reduce<unknown>((parent, name) => (parent as ReadBucket | undefined)?.get(name), bucket)
  return typeof value === 'string' ? JSON.parse(value) : value
}

let work: string
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'sample-databases-'))
})
afterEach(() => rmSync(work, { recursive: true, force: true }))

describe('constraints', () => {
  const affected = (
    ecosystem: Ecosystem,
    intervals: Partial<Interval>[],
    versions: string[] = [],
  ): Affected => ({
    source: 'ghsa',
    advisoryId: 'GHSA-2222-3333-4444',
    ghsaId: null,
    ecosystem,
    release: null,
    packageName: 'name',
    intervals: intervals.map((interval) => ({
      introduced: null,
      fixed: null,
      lastAffected: null,
      ...interval,
    })),
    versions,
    severity: 'UNKNOWN',
  })
  const trivy = (ecosystem: 'npm' | 'pypi' | 'go' | 'maven', entry: Affected) =>
    constraintsOf(entry).map((constraint) => trivyConstraint(ecosystem, constraint))
  const grype = (ecosystem: Ecosystem, entry: Affected) =>
    constraintsOf(entry).map((constraint) => grypeVersionRange(ecosystem, constraint))

  it('keeps each interval of several a constraint of its own', () => {
    const entry = affected('maven', [
      { introduced: '2.13.0', fixed: '2.15.0' },
      { introduced: '2.0-beta9', fixed: '2.3.1' },
    ])
    expect(trivy('maven', entry)).toEqual(['>=2.13.0, <2.15.0', '>=2.0-beta9, <2.3.1'])
    expect(grype('maven', entry)).toEqual([
      { type: 'maven', constraint: '>=2.13.0,<2.15.0' },
      { type: 'maven', constraint: '>=2.0-beta9,<2.3.1' },
    ])
    expect(constraintsOf(entry).map(({ fixed }) => fixed)).toEqual(['2.15.0', '2.3.1'])
  })

  it('includes the last affected version and calls nothing fixed there', () => {
    const entry = affected('npm', [{ lastAffected: '4.5.0' }])
    expect(trivy('npm', entry)).toEqual(['<=4.5.0'])
    expect(constraintsOf(entry)[0]?.fixed).toBeNull()
  })

  it('gives a range from the first version no lower bound, so that Go pseudo-versions of 0 are in it', () => {
    const entry = affected('go', [{ fixed: '0.0.0-20201216223049-8b5274cf687f' }])
    expect(trivy('go', entry)).toEqual(['<0.0.0-20201216223049-8b5274cf687f'])
    expect(grype('go', entry)).toEqual([{ type: 'go', constraint: '<0.0.0-20201216223049-8b5274cf687f' }])
  })

  it('says every version as a constraint to trivy and as none to grype', () => {
    expect(trivy('go', affected('go', [{}]))).toEqual(['>=0.0.0-0'])
    expect(grype('go', affected('go', [{}]))).toEqual([{ type: 'go' }])
  })

  it('states versions that are listed singly', () => {
    expect(trivy('maven', affected('maven', [], ['6.3.2.1']))).toEqual(['=6.3.2.1'])
  })

  it.each([
    ['npm', 'semver'],
    ['pypi', 'python'],
    ['go', 'go'],
    ['maven', 'maven'],
    ['debian', 'dpkg'],
    ['alpine', 'apk'],
  ] as const)("names grype's range type of %s", (ecosystem, type) => {
    expect(grype(ecosystem, affected(ecosystem, [{ fixed: '1' }]))).toEqual([{ type, constraint: '<1' }])
  })
})

describe('trivy.db', () => {
  const file = trivyDatabase(readAdvisories())
  const database = readBolt(file)

  it('is the same file on every machine and in every run', () => {
    expect(sha256(trivyDatabase(readAdvisories()))).toBe(sha256(file))
    expect(sha256(file)).toBe(TRIVY_SHA256)
  })

  it('says under a language package which versions are affected and which fix them', () => {
    const entry = within(database, 'npm::GitHub Security Advisory npm', 'lodash', 'CVE-2021-23337')
    expect(entry).toEqual({
      VendorIDs: ['GHSA-35jh-r3h4-6jhm'],
      VulnerableVersions: ['<4.17.21'],
      PatchedVersions: ['4.17.21'],
    })
  })

  it('says under a Debian source package the fixed version, or that there is none', () => {
    expect(within(database, 'debian 12', 'glibc', 'CVE-2023-4911')).toEqual({
      FixedVersion: '2.36-9+deb12u3',
    })
    expect(within(database, 'debian 12', 'glibc', 'CVE-2010-4756')).toEqual({ Status: 2, Severity: 1 })
  })

  it('names the data source of every bucket', () => {
    const buckets = [...database.keys()].filter((name) => name !== 'vulnerability' && name !== 'data-source')
    expect([...(database.get('data-source') as ReadBucket).keys()].sort()).toEqual(buckets.sort())
  })

  it('has details of every vulnerability that a package refers to, each with a severity', () => {
    const details = database.get('vulnerability') as ReadBucket
    const referred = [...database]
      .filter(([name]) => name !== 'vulnerability' && name !== 'data-source')
      .flatMap(([, packages]) => [...(packages as ReadBucket).values()])
      .flatMap((vulnerabilities) => [...(vulnerabilities as ReadBucket).keys()])
    expect(referred.filter((id) => !details.has(id))).toEqual([])
    expect(within(database, 'vulnerability', 'CVE-2021-44228')).toMatchObject({
      Severity: 'CRITICAL',
      VendorSeverity: { ghsa: 4, nvd: 4 },
      CVSS: { nvd: { V2Score: 9.3, V3Score: 10 }, ghsa: { V3Score: 10 } },
    })
    expect(within(database, 'vulnerability', 'CVE-2023-38545')).toMatchObject({ Severity: 'UNKNOWN' })
  })

  it('carries the snapshot’s instant, not the clock’s', () => {
    expect(JSON.parse(trivyMetadata(SNAPSHOT_BUILT_AT))).toEqual({
      Version: 2,
      NextUpdate: '2026-11-21T06:00:00Z',
      UpdatedAt: SNAPSHOT_BUILT_AT,
      DownloadedAt: SNAPSHOT_BUILT_AT,
    })
  })
})

describe("grype's database before its import", () => {
  const query = (sql: string, ...values: string[]) => {
    const database = new DatabaseSync(join(work, 'g.db'), { readOnly: true })
    const rows = database.prepare(sql).all(...values)
    database.close()
    return rows
  }
  const blobs = (rows: Record<string, unknown>[]) => rows.map((row) => JSON.parse(row.value as string))
  beforeEach(() => writeGrypeDatabase(join(work, 'g.db'), readAdvisories(), SNAPSHOT_BUILT_AT))

  it('is the same file on every machine and in every run', () => {
    expect(sha256(readFileSync(join(work, 'g.db')))).toBe(GRYPE_SHA256)
  })

  it('states model and instant', () => {
    expect(query('select * from db_metadata').map((row) => ({ ...row }))).toEqual([
      { build_timestamp: '2026-11-20 06:00:00+00:00', model: 6, revision: 1, addition: 4 },
    ])
  })

  it('ties a package to its advisory with ranges and fixes', () => {
    const rows = query(
      `select b.value from affected_package_handles a join packages p on p.id = a.package_id join blobs b on b.id = a.blob_id
       join vulnerability_handles v on v.id = a.vulnerability_id where p.ecosystem = 'npm' and p.name = 'lodash' and v.name = ?`,
      'GHSA-35jh-r3h4-6jhm',
    )
    expect(blobs(rows)).toMatchObject([
      {
        cves: ['CVE-2021-23337'],
        ranges: [
          {
            version: { type: 'semver', constraint: '<4.17.21' },
            fix: { version: '4.17.21', state: 'fixed' },
          },
        ],
      },
    ])
  })

  it("has NVD's record of every CVE that another record names", () => {
    const missing = query(
      `select alias from vulnerability_aliases where alias like 'CVE-%' and alias not in
       (select name from vulnerability_handles where provider_id = 'nvd')`,
    )
    expect(missing).toEqual([])
  })

  it('gives a Debian record that nobody rates no severity', () => {
    const rows = query(
      `select b.value from vulnerability_handles v join blobs b on b.id = v.blob_id where v.provider_id = 'debian' and v.name = ?`,
      'CVE-2023-38545',
    )
    expect(blobs(rows)).toMatchObject([{ severities: [] }])
  })
})

describe('the directory of sample databases', () => {
  it('says for each engine that it is a sample, of how many advisories and from when', async () => {
    const { trivy, grype } = await writeSampleDatabases(join(work, 'samples'))
    const said = { source: 'sample', advisories: trivy.advisories, builtAt: SNAPSHOT_BUILT_AT }
    expect(JSON.parse(readFileSync(join(work, 'samples/sample.json'), 'utf8'))).toEqual({ trivy: said })
    expect(JSON.parse(readFileSync(join(trivy.dir, 'sample.json'), 'utf8'))).toEqual(said)
    expect(trivy.advisories).toBe(readAdvisories().length)
    expect(grype).toBeNull()
  })

  it('replaces what an earlier run left', async () => {
    await writeSampleDatabases(join(work, 'samples'))
    const builtAt = '2026-11-21T06:00:00Z'
    await writeSampleDatabases(join(work, 'samples'), { builtAt })
    expect(JSON.parse(readFileSync(join(work, 'samples/sample.json'), 'utf8')).trivy.builtAt).toBe(builtAt)
  })

  it('leaves an earlier directory as it was when grype refuses the import', async () => {
    await writeSampleDatabases(join(work, 'samples'))
    await expect(writeSampleDatabases(join(work, 'samples'), { grypePath: '/bin/false' })).rejects.toThrow()
    expect(JSON.parse(readFileSync(join(work, 'samples/sample.json'), 'utf8'))).toHaveProperty('trivy')
  })
})
