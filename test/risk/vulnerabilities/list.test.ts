import { beforeAll, describe, expect, it } from 'vitest'
import { statement } from '../../../src/db/database.ts'
import type { Page } from '../../../src/http/pages.ts'
import { readPage } from '../../../src/http/pages.ts'
import {
  FINDING_LIST,
  type FindingPlace,
  listFindings,
  type MatchRow,
} from '../../../src/risk/findings/index.ts'
import { listVulnerabilities } from '../../../src/risk/vulnerabilities/list.ts'
import { VULNERABILITY_LIST } from '../../../src/risk/vulnerabilities/list-spec.ts'
import { aContext } from '../context.ts'
import {
  address,
  type Expected,
  type Query,
  select,
  shownFindings,
  shownMatches,
  someQuery,
} from '../expected.ts'
import { aWorld, plant, random, type SeedWorld } from '../seed.ts'

const SIZE = {
  images: 6,
  artifactsPerImage: 3,
  bases: 2,
  basePackages: 60,
  ownPackages: 15,
  matchesPerPackage: 1.5,
}
const QUERIES = 60
const ours = aWorld(7101, SIZE)
const theirs = aWorld(7102, SIZE)

beforeAll(async () => {
  await plant(aContext(ours.org).db, ours)
  await plant(aContext(theirs.org).db, theirs)
})

const readVulnerabilities = (world: SeedWorld) => (url: string) =>
  listVulnerabilities(aContext(world.org), readPage(VULNERABILITY_LIST, url))

/** Walks a list to its end and back by links, and to each page by number. */
async function expectSame(
  read: (url: string) => Promise<Page<MatchRow>>,
  query: Query,
  expected: readonly Expected[],
  limit: number,
) {
  const wanted = select(expected, query)
  const url = address('/api/list', query, limit)
  let page = await read(url)
  for (;;) {
    const { page: number } = page.meta
    const start = (number - 1) * limit
    const slice = wanted.slice(start, start + limit)
    expect({ url, number, ids: page.data.map(({ id }) => id) }).toEqual({
      url,
      number,
      ids: slice.map(({ id }) => id),
    })
    expect(page.meta.total).toBe(wanted.length)
    expect(page.meta.hasNext).toBe(start + limit < wanted.length)
    const byNumber = await read(address('/api/list', query, limit, number))
    expect(byNumber.data).toEqual(page.data)
    expect(byNumber.meta).toEqual(page.meta)
    if (page.links.prev) {
      const back = await read(page.links.prev)
      const before = wanted.slice(start - limit, start)
      expect(back.data.map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    }
    if (!page.links.next) return
    page = await read(page.links.next)
  }
}

describe('listVulnerabilities', () => {
  it('lists what a plain filter and sort gives, page by page, forwards, backwards and by number', {
    timeout: 120_000,
  }, async () => {
    const next = random(1)
    const expected = shownMatches(ours)
    for (let count = 0; count < QUERIES; count++) {
      const query = someQuery(ours, next)
      const limit = Math.max(5, Math.ceil(select(expected, query).length / 4))
      await expectSame(readVulnerabilities(ours), query, expected, Math.min(limit, 200))
    }
  })

  it('counts the live artifacts that show a match, whatever engines ran there', async () => {
    const affected = new Map(shownMatches(ours).map(({ id, artifacts }) => [id, artifacts.length]))
    let url: string | undefined = '/api/list?limit=200'
    let seen = 0
    while (url) {
      const page: Page<MatchRow> = await readVulnerabilities(ours)(url)
      for (const row of page.data) expect([row.id, row.affected]).toEqual([row.id, affected.get(row.id)])
      seen += page.data.length
      url = page.links.next
    }
    expect(seen).toBe(affected.size)
  })

  it('takes one round trip', async () => {
    const ctx = aContext(ours.org)
    await listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, '/api/list?search=lib'))
    expect(ctx.db.meter.roundTrips).toBe(1)
  })

  it('shows nothing of an organization without findings', async () => {
    const page = await listVulnerabilities(aContext(7199), readPage(VULNERABILITY_LIST, '/api/list'))
    expect(page).toMatchObject({ data: [], meta: { total: 0, hasNext: false } })
  })
})

describe('listFindings', () => {
  const place = (world: SeedWorld, artifact: number): FindingPlace => ({
    resource: 'Tag',
    select: statement(
      `SELECT id AS artifact, image_id AS imageId, image_name AS imageName, 'v1' AS tag FROM artifacts WHERE org = ? AND id = ?`,
      world.org,
      artifact,
    ),
  })

  it('lists what a plain filter and sort gives for one artifact', { timeout: 120_000 }, async () => {
    const next = random(2)
    for (let count = 0; count < QUERIES; count++) {
      const artifact = ours.artifacts[count % ours.artifacts.length]!
      const { image: _, registry: __, ...query } = someQuery(ours, next)
      const expected = shownFindings(ours, artifact)
      const read = (url: string) =>
        listFindings(aContext(ours.org), place(ours, artifact.id), readPage(FINDING_LIST, url))
      await expectSame(read, query, expected, Math.max(5, Math.ceil(select(expected, query).length / 3)))
    }
  })

  it("hides another organization's artifact as not found", async () => {
    const stolen = place(ours, theirs.artifacts[0]!.id)
    const attempt = listFindings(aContext(ours.org), stolen, readPage(FINDING_LIST, '/api/list'))
    await expect(attempt).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
