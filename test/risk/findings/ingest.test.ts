import { describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { EXPECT_ONE_CHANGE, LostRace, type Statement, statement } from '../../../src/db/database.ts'
import { readAdvisoryText } from '../../../src/risk/findings/advisory-texts.ts'
import { DanglingFinding } from '../../../src/risk/findings/incoming.ts'
import { ingestResult, UnknownArtifact } from '../../../src/risk/findings/ingest.ts'
import { decodeLocations } from '../../../src/risk/findings/locations.ts'
import { aContext, anArtifact } from '../context.ts'
import { aResult, BUILT, DAY, type ResultShape } from '../results.ts'
import { observe } from './observed.ts'

let organizations = 20_000
const anOrganization = () => aContext(organizations++)
const SMALL = { packages: 20, findings: 20 }

const scan = (ctx: Context, artifact: number, shape: ResultShape = {}, finish: Statement[] = []) =>
  ingestResult(ctx, { artifact, scanId: 'scn_1', scannedAt: BUILT, result: aResult(shape), finish })

const rows = ({ db, organization: { num } }: Context, sql: string) =>
  db.all<Record<string, string | number | null>>(statement(sql, num))

describe('ingestResult', () => {
  it('stores a first scan with its counters, grade, risk and image', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    expect(await scan(ctx, artifact)).toEqual({
      accepted: ['trivy', 'grype', 'syft'],
      refused: [],
      attempts: 1,
    })
    const [row] = await rows(ctx, 'SELECT * FROM artifacts WHERE org = ?')
    expect(row).toMatchObject({
      packages: 300,
      ran: 3,
      trivy_build: BUILT,
      last_scan_id: 'scn_1',
      size_bytes: 50_000_000,
    })
    const { critical, high, medium, low, unknown, grade, risk } = row as Record<string, number>
    expect(critical! + high! + medium! + low! + unknown!).toBe(
      Object.keys((await observe(ctx)).findings).length,
    )
    expect((await rows(ctx, 'SELECT * FROM images WHERE org = ?'))[0]).toMatchObject({
      critical,
      high,
      grade,
      risk,
    })
  })

  it('lets the finish see the counters, in the same batch', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    const copy = statement(
      'UPDATE images SET tag_count = (SELECT high + medium + low FROM artifacts WHERE id = ?1) WHERE org = ?2',
      artifact,
      ctx.organization.num,
    )
    await scan(ctx, artifact, SMALL, [copy])
    const [image] = await rows(
      ctx,
      'SELECT tag_count, high + medium + low AS total FROM images WHERE org = ?',
    )
    expect(image).toMatchObject({ tag_count: image!.total })
    expect(image!.total).toBeGreaterThan(0)
  })

  it('writes nothing when the finish refuses', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    const refuse = [
      statement('UPDATE images SET tag_count = 1 WHERE org = ? AND 0', ctx.organization.num),
      EXPECT_ONE_CHANGE,
    ]
    await expect(scan(ctx, artifact, SMALL, refuse)).rejects.toBeInstanceOf(LostRace)
    expect((await observe(ctx)).findings).toEqual({})
  })

  it('keeps what failed engines found before, and says what was accepted', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    await scan(ctx, artifact, SMALL)
    const before = await observe(ctx)
    expect((await scan(ctx, artifact, { ...SMALL, failed: ['trivy'], build: BUILT + 1 })).accepted).toEqual([
      'grype',
      'syft',
    ])
    expect((await observe(ctx)).findings).toEqual(before.findings)
  })

  it('changes nothing but runs the finish when every engine failed', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    await scan(ctx, artifact, SMALL)
    const before = await observe(ctx)
    const finish = statement('UPDATE images SET tag_count = 7 WHERE org = ?', ctx.organization.num)
    const outcome = await scan(ctx, artifact, { ...SMALL, failed: ['trivy', 'grype', 'syft'] }, [finish])
    expect(outcome).toEqual({ accepted: [], refused: [], attempts: 1 })
    expect(await observe(ctx)).toEqual(before)
    expect(await rows(ctx, 'SELECT tag_count FROM images WHERE org = ?')).toEqual([{ tag_count: 7 }])
  })

  it('refuses older databases and databases from the future, and tells the finish', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    await scan(ctx, artifact, { ...SMALL, engines: ['trivy'] })
    const before = await observe(ctx)
    for (const [build, code] of [
      [BUILT - 1000, 'database_older'],
      [ctx.now + DAY + 1000, 'database_from_future'],
    ] as const) {
      const told: unknown[] = []
      const result = aResult({ ...SMALL, engines: ['trivy'], build, without: () => true })
      const finish = (outcome: unknown) => {
        told.push(outcome)
        return []
      }
      const outcome = await ingestResult(ctx, { artifact, scanId: 'scn_2', scannedAt: BUILT, result, finish })
      expect(outcome).toMatchObject({ accepted: [], refused: [{ engine: 'trivy', code }] })
      expect(told).toEqual([{ accepted: [], refused: [{ engine: 'trivy', code }] }])
      expect(await observe(ctx)).toEqual(before)
    }
  })

  it('lists packages of an engine without a database', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    await scan(ctx, artifact, { ...SMALL, engines: ['syft'] })
    expect((await rows(ctx, 'SELECT packages, ran, grade FROM artifacts WHERE org = ?'))[0]).toEqual({
      packages: 20,
      ran: 0,
      grade: null,
    })
  })

  it("does not touch another organization's artifact", async () => {
    const [ours, theirs] = [anOrganization(), anOrganization()]
    const artifact = await anArtifact(theirs, 'a')
    await scan(theirs, artifact, SMALL)
    const before = await observe(theirs)
    await expect(scan(ours, artifact, { ...SMALL, without: () => true })).rejects.toBeInstanceOf(
      UnknownArtifact,
    )
    await scan(ours, await anArtifact(ours, 'a'), { ...SMALL, build: BUILT + DAY / 2, without: (n) => n > 3 })
    expect(await observe(theirs)).toEqual(before)
  })

  it('refuses a finding on a package that is not listed', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    const result = aResult(SMALL)
    result.findings[0]!.package = 99
    await expect(
      ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: BUILT, result, finish: [] }),
    ).rejects.toBeInstanceOf(DanglingFinding)
  })

  const TEXTS = `SELECT v.id, t.id AS pack, t.data, t.members FROM vulnerabilities v
    JOIN advisory_texts t ON t.id = v.texts AND t.org = v.org WHERE v.org = ? ORDER BY v.id`

  it('packs what advisories say, reads each of them back, and drops a pack with its last one', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    const shape = { packages: 100, findings: 100 }
    const packs = () => rows(ctx, 'SELECT id, members FROM advisory_texts WHERE org = ? ORDER BY id')
    await scan(ctx, artifact, shape)
    const first = await packs()
    const texts = await rows(ctx, TEXTS)
    expect(first.length).toBeGreaterThan(1)
    expect(first.length).toBeLessThan(10)
    expect(first.reduce((sum, { members }) => sum + Number(members), 0)).toBe(texts.length)
    for (const { id, data } of texts) {
      const [said] = aResult(shape).vulnerabilities.filter((text) => text.id === id)
      const { title, description, links, cwes } = said!
      expect(await readAdvisoryText(data as string, id as string)).toEqual({
        ...{ title, description, links, cwes },
        ...{ publishedAt: Date.parse(said!.publishedAt!), modifiedAt: null },
      })
    }
    const rewrite = async (build: number, changed: (index: number) => boolean) => {
      const result = aResult({ ...shape, build })
      for (const [index, text] of result.vulnerabilities.entries())
        if (changed(index)) text.title = `changed at ${build}`
      await ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: build, result, finish: [] })
    }
    await rewrite(BUILT + 1000, (index) => index === 0)
    const second = await packs()
    expect(second.length).toBe(first.length + 1)
    expect(second.reduce((sum, { members }) => sum + Number(members), 0)).toBe(texts.length)
    await rewrite(BUILT + 2000, () => true)
    const kept = new Set((await packs()).map(({ id }) => id))
    expect(second.some(({ id }) => kept.has(id))).toBe(false)
  })

  it('changes an advisory text only by a scan at the newest build', async () => {
    const ctx = anOrganization()
    const [a, b] = [await anArtifact(ctx, 'a'), await anArtifact(ctx, 'b')]
    const titled = async (artifact: number, title: string, build: number) => {
      const result = aResult({ packages: 1, findings: 1, build })
      result.vulnerabilities[0]!.title = title
      await ingestResult(ctx, { artifact, scanId: 'scn', scannedAt: build, result, finish: [] })
      const [advisory] = await rows(ctx, TEXTS)
      return (await readAdvisoryText(advisory!.data as string, advisory!.id as string))!.title
    }
    expect(await titled(a, 'one', BUILT)).toBe('one')
    expect(await titled(b, 'older', BUILT - 1000)).toBe('one')
    expect(await titled(b, 'two', BUILT + 1000)).toBe('two')
  })

  it('remembers what an artifact found itself and finds no more, and nothing that was only carried', async () => {
    const ctx = anOrganization()
    const [a, b] = [await anArtifact(ctx, 'a'), await anArtifact(ctx, 'b')]
    const shape = { packages: 1, findings: 1, engines: ['trivy', 'syft'] } as const
    await scan(ctx, b, { ...shape, without: () => true })
    await scan(ctx, a, { ...shape, build: BUILT + 1000 })
    await scan(ctx, b, { ...shape, build: BUILT + 2000, without: () => true })
    expect(await rows(ctx, 'SELECT artifact FROM resolutions WHERE org = ?')).toEqual([])
    await scan(ctx, a, { ...shape, build: BUILT + 2000, without: () => true })
    expect(await rows(ctx, 'SELECT artifact, resolved_at FROM resolutions WHERE org = ?')).toEqual([
      { artifact: a, resolved_at: BUILT },
    ])
    expect(await rows(ctx, 'SELECT * FROM matches WHERE org = ?')).toEqual([])
  })
})

describe('locations', () => {
  const stored = async (ctx: Context) => {
    const chunks = await rows(ctx, 'SELECT data FROM artifact_locations WHERE org = ? ORDER BY chunk')
    const decoded = await Promise.all(chunks.map((row) => decodeLocations(row.data as string)))
    return decoded.flatMap((places) => [...places.values()].flat())
  }

  it('are path and layer of each package', async () => {
    const ctx = anOrganization()
    await scan(ctx, await anArtifact(ctx, 'a'), SMALL)
    const places = await stored(ctx)
    expect(places).toHaveLength(20)
    expect(places[0]).toEqual(['/usr/share/package-0/metadata', expect.any(Number)])
  })

  it('stay for packages that a later scan does not list', async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'a')
    await scan(ctx, artifact, SMALL)
    await scan(ctx, artifact, { packages: 5, findings: 5, from: 18 })
    const paths = (await stored(ctx)).map(([path]) => path)
    expect(paths).toHaveLength(23)
    expect(new Set(paths).size).toBe(23)
    const { rowsWritten } = ctx.db.meter
    await scan(ctx, artifact, { packages: 5, findings: 5, from: 18 })
    expect(ctx.db.meter.rowsWritten - rowsWritten).toBeLessThanOrEqual(2)
  })
})

describe('a huge result', () => {
  it('is written ahead in bounded batches, and costs nothing the second time', {
    timeout: 240_000,
  }, async () => {
    const ctx = anOrganization()
    const artifact = await anArtifact(ctx, 'huge')
    const shape = { packages: 22_000, findings: 26_000 }
    await scan(ctx, artifact, shape)
    expect(ctx.db.meter.roundTrips).toBeGreaterThan(5)
    const [row] = await rows(
      ctx,
      'SELECT critical + high + medium + low + unknown AS total, packages FROM artifacts WHERE org = ?',
    )
    const [listed] = await rows(ctx, 'SELECT count(*) AS total FROM matches WHERE org = ?')
    expect(row).toEqual({ total: listed!.total, packages: 22_000 })
    expect(listed!.total).toBeGreaterThan(25_900)
    const { rowsWritten } = ctx.db.meter
    await scan(ctx, artifact, shape)
    expect(ctx.db.meter.rowsWritten - rowsWritten).toBeLessThanOrEqual(2)
  })
})
