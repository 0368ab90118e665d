import { beforeAll, describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import { statement } from '../../../src/db/database.ts'
import type { Page } from '../../../src/http/pages.ts'
import { readPage } from '../../../src/http/pages.ts'
import { IMAGE_LIST, imageStatements, listImages } from '../../../src/inventory/images/list.ts'
import type { ImageRow } from '../../../src/inventory/images/row.ts'
import { aContext } from '../../risk/context.ts'
import { random } from '../../risk/seed.ts'

interface Seeded {
  id: string
  registry: string
  repository: string
  name: string
  risk: number | null
  grade: string | null
  createdAt: number
}

/** Images in three registries, the last of which holds one in fifty; a tenth was never scanned. */
function someImages(org: number, count: number): Seeded[] {
  const next = random(org)
  return Array.from({ length: count }, (_, n) => {
    const registry = n % 50 === 0 ? 2 : n % 3 === 0 ? 1 : 0
    const repository = `team-${Math.floor(next() * 9)}/App-${n}`
    const scanned = next() < 0.9
    return {
      id: `img_${org}_${n}`,
      registry: `reg_${org}_${registry}`,
      repository,
      name: `r${registry}.example.com/${repository}`,
      risk: scanned ? Math.floor(next() * 101) : null,
      grade: scanned ? 'ABCD'[Math.floor(next() * 4)]! : null,
      createdAt: Math.floor(next() * count),
    }
  })
}

const plantImages = (ctx: Context, images: Seeded[]) =>
  ctx.db.run(
    statement(
      `INSERT INTO images (id, org, registry_id, repository, name, risk, grade, created_at)
       SELECT value ->> 0, ?1, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
       FROM json_each(?2)`,
      ctx.organization.num,
      JSON.stringify(
        images.map((i) => [i.id, i.registry, i.repository, i.name, i.risk, i.grade, i.createdAt]),
      ),
    ),
  )

const SORTS = ['name', 'createdAt', 'riskScore'] as const
interface Query {
  sort: (typeof SORTS)[number]
  direction: 'asc' | 'desc'
  registry?: string
  riskScore?: number
  grade?: string
  search?: string
}

function select(images: readonly Seeded[], query: Query): string[] {
  const key = (image: Seeded) =>
    query.sort === 'name' ? image.name : query.sort === 'createdAt' ? image.createdAt : (image.risk ?? -1)
  const turn = query.direction === 'desc' ? -1 : 1
  const order = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0)
  return images
    .filter(
      (image) =>
        (!query.registry || image.registry === query.registry) &&
        (query.riskScore === undefined || (image.risk ?? -1) >= query.riskScore) &&
        (!query.grade || (image.grade !== null && query.grade.split(',').includes(image.grade))) &&
        (!query.search || image.name.toLowerCase().includes(query.search.toLowerCase())),
    )
    .sort((a, b) => turn * (order(key(a), key(b)) || order(a.id, b.id)))
    .map(({ id }) => id)
}

const address = ({ sort, direction, ...filters }: Query, limit: number, page = 1) => {
  const params = new URLSearchParams({
    sort: `${sort}:${direction}`,
    limit: String(limit),
    page: String(page),
  })
  for (const [name, value] of Object.entries(filters))
    if (value !== undefined) params.set(name, String(value))
  return `/api/images?${params}`
}

const LIMIT = 50
const small = aContext(7301)
const large = aContext(7302)
const seeded = { small: someImages(7301, 300), large: someImages(7302, 3000) }

beforeAll(async () => {
  await plantImages(small, seeded.small)
  await plantImages(large, seeded.large)
})

describe('listImages', () => {
  it('lists what a plain filter and sort gives, by links and by number', { timeout: 60_000 }, async () => {
    const next = random(3)
    const one = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!
    const read = (url: string): Promise<Page<ImageRow>> => listImages(small, readPage(IMAGE_LIST, url))
    for (let count = 0; count < 60; count++) {
      const query: Query = { sort: one(SORTS), direction: one(['asc', 'desc']) }
      if (next() < 0.4) query.registry = one(['reg_7301_0', 'reg_7301_1', 'reg_7301_2', 'reg_none'])
      if (next() < 0.3) query.riskScore = Math.floor(next() * 101)
      if (next() < 0.3) query.grade = one(['A', 'C,D', 'B'])
      if (next() < 0.3) query.search = one(['TEAM-3', 'app-1', 'zzz'])
      const wanted = select(seeded.small, query)
      const limit = Math.max(4, Math.ceil(wanted.length / 4))
      let page = await read(address(query, limit))
      for (;;) {
        const start = (page.meta.page - 1) * limit
        expect(page.data.map(({ id }) => id)).toEqual(wanted.slice(start, start + limit))
        expect(page.meta.total).toBe(wanted.length)
        const byNumber = await read(address(query, limit, page.meta.page))
        expect(byNumber.data).toEqual(page.data)
        expect(byNumber.meta).toEqual(page.meta)
        if (page.links.prev) {
          const back = await read(page.links.prev)
          expect(back.data.map(({ id }) => id)).toEqual(wanted.slice(start - limit, start))
        }
        if (!page.links.next) break
        page = await read(page.links.next)
      }
    }
  })

  const both = [
    ['300', small, seeded.small],
    ['3,000', large, seeded.large],
  ] as const
  describe.each(both)('of %s images', (_, ctx, images) => {
    const org = ctx.organization.num
    const pages: [string, readonly string[]][] = [
      ['', SORTS],
      ['&riskScore=40', ['riskScore']],
      [`&registry=reg_${org}_1`, ['name']],
      [`&registry=reg_${org}_2`, ['name']],
    ]
    const passes = [
      `&registry=reg_${org}_2`,
      '&grade=D',
      '&search=app-17',
      '&riskScore=99',
      '&search=nothing',
    ]
    const rowsOf = async (work: () => Promise<unknown>) => {
      const before = ctx.db.meter.rowsRead
      await work()
      return ctx.db.meter.rowsRead - before
    }
    const request = (query: string) => readPage(IMAGE_LIST, `/api/images?limit=${LIMIT}${query}`)

    for (const [filter, sorts] of pages)
      for (const sort of sorts)
        it.each(['asc', 'desc'])(
          `${sort} ${filter} %s is a page read, on page 1 and through its links`,
          async (direction) => {
            const query = `&sort=${sort}:${direction}${filter}`
            expect(
              await rowsOf(() => ctx.db.all(imageStatements(org, request(query))[0]!)),
            ).toBeLessThanOrEqual(LIMIT + 20)
            const middle = Math.max(1, Math.floor(images.length / LIMIT / 2))
            const page = await listImages(ctx, request(`${query}&page=${middle}`))
            for (const link of [page.links.next, page.links.prev]) {
              if (!link?.includes('cursor')) continue
              const rows = await rowsOf(() => listImages(ctx, readPage(IMAGE_LIST, link)))
              expect(rows).toBeLessThanOrEqual(LIMIT + 20)
            }
          },
        )

    it.each(passes)('with %s the images are read once in any order', async (filter) => {
      for (const sort of SORTS) {
        const [page, total] = imageStatements(org, request(`&sort=${sort}:asc${filter}`))
        expect(await rowsOf(() => ctx.db.all(page!))).toBeLessThanOrEqual(1.5 * images.length + 4 * LIMIT)
        expect(await rowsOf(() => ctx.db.all(total!))).toBeLessThanOrEqual(1.5 * images.length)
      }
    })
  })
})
