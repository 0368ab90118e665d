import { beforeAll, describe, expect, it } from 'vitest'
import type { Context } from '../../../src/context.ts'
import type { Statement } from '../../../src/db/database.ts'
import { readPage } from '../../../src/http/pages.ts'
import { vulnerabilityId } from '../../../src/ids.ts'
import { placeOfImage } from '../../../src/inventory/images/finding-places.ts'
import { FINDING_LIST, listFindings } from '../../../src/risk/findings/index.ts'
import { DISTINCT_FIELDS, distinctValues } from '../../../src/risk/vulnerabilities/distinct.ts'
import {
  listVulnerabilityImages,
  VULNERABILITY_IMAGE_LIST,
} from '../../../src/risk/vulnerabilities/images.ts'
import { listVulnerabilities, vulnerabilityStatements } from '../../../src/risk/vulnerabilities/list.ts'
import { VULNERABILITY_LIST } from '../../../src/risk/vulnerabilities/list-spec.ts'
import { aContext } from '../context.ts'
import { SEVERITIES, SORTS, shownMatches } from '../expected.ts'
import { aWorld, findingsOf, plant, type SeedWorld } from '../seed.ts'

/** Rows read, by D1's own count, in organizations of 10,000 and of 100,000 findings that share a database. */

const LIMIT = 50
const PAGE = 4 * LIMIT + 20
/** What an item shows beyond the match: package, its holders, aliases, and the match's exclusions. */
const SHOWN = (LIMIT + 1) * 4
const PAGES_WALKED = 4
const DEEP = 20

const size = (images: number) => ({
  images,
  artifactsPerImage: 3,
  bases: 5,
  basePackages: 200,
  ownPackages: 100,
  matchesPerPackage: 1.1,
  usual: true,
})
const small = aWorld(7201, size(10))
const large = aWorld(7202, size(100))
const others = [7203, 7204, 7205].map((org) => aWorld(org, size(1)))
const worlds: [string, SeedWorld, number][] = [
  ['10,000', small, 9_000],
  ['100,000', large, 85_000],
]

beforeAll(async () => {
  for (const world of [small, large, ...others]) await plant(aContext(world.org).db, world)
}, 60_000)

async function rowsOf(ctx: Context, work: () => Promise<unknown>): Promise<number> {
  const before = ctx.db.meter.rowsRead
  await work()
  return ctx.db.meter.rowsRead - before
}
const rowsRead = (ctx: Context, one: Statement) => rowsOf(ctx, () => ctx.db.all(one))
const request = (query: string) => readPage(VULNERABILITY_LIST, `/api/vulnerabilities?limit=${LIMIT}${query}`)

/** Orders that have an index within each severity. */
const ORDERED = SORTS.filter((sort) => sort !== 'triageStatus')

/** Filters that an index or their frequency keeps to a page; the others need a pass. */
const pageFilters = (world: SeedWorld): Record<string, readonly string[]> => ({
  '': SORTS,
  '&severity=CRITICAL': ORDERED,
  '&severity=CRITICAL,HIGH': ORDERED,
  '&severity=CRITICAL,LOW': ORDERED,
  '&status=OPEN': SORTS,
  '&status=ACKNOWLEDGED': ['severity', 'triageStatus'],
  '&scanner=trivy': SORTS,
  '&scanner=grype': SORTS,
  '&fixable=true': SORTS,
  [`&registry=${world.registries[0]!.id}`]: SORTS,
})

const passFilters = (world: SeedWorld): string[] => [
  '&severity=CRITICAL',
  '&severity=CRITICAL,LOW',
  '&status=ACKNOWLEDGED',
  '&scanner=osv',
  '&fixable=false',
  '&search=cve-2019-1',
  '&search=lib17',
  '&search=nothing-has-this-name',
  `&registry=${world.registries[1]!.id}`,
  '&severity=CRITICAL&fixable=true&scanner=grype',
  '&status=FIXED&severity=HIGH',
]

describe.each(worlds)('With %s findings', (_, world, findings) => {
  const n = world.matches.length

  it('has as many as it says', () => {
    expect([...findingsOf(world).values()].flat().length).toBeGreaterThan(findings)
  })

  for (const [filter, sorts] of Object.entries(pageFilters(world)))
    for (const sort of sorts)
      for (const direction of ['asc', 'desc'])
        it(`a list by ${sort}:${direction} ${filter} is a page read, on page 1 and through its links`, async () => {
          const ctx = aContext(world.org)
          const query = `&sort=${sort}:${direction}${filter}`
          expect(
            await rowsRead(ctx, vulnerabilityStatements(world.org, request(query)).page),
          ).toBeLessThanOrEqual(PAGE + SHOWN)
          let page = await listVulnerabilities(ctx, request(query))
          const deep = Math.min(DEEP, page.meta.totalPages - 1)
          for (let walked = 0; walked < PAGES_WALKED; walked++) {
            if (walked === 2 && deep > 3) {
              const skipped = (deep - 1) * LIMIT
              const byNumber = request(`${query}&page=${deep}`)
              const passed = filter.includes('fixable') || filter.includes('registry') ? 2 : 1 // about half pass
              expect(
                await rowsRead(ctx, vulnerabilityStatements(world.org, byNumber).page),
              ).toBeLessThanOrEqual(PAGE + SHOWN + 2.5 * passed * skipped)
              page = await listVulnerabilities(ctx, byNumber)
            }
            for (const link of [page.links.next, page.links.prev]) {
              if (!link?.includes('cursor')) continue
              const rows = await rowsOf(ctx, () =>
                listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, link)),
              )
              expect(rows).toBeLessThanOrEqual(PAGE + SHOWN)
            }
            if (!page.links.next) break
            page = await listVulnerabilities(ctx, readPage(VULNERABILITY_LIST, page.links.next))
          }
        })

  it.each(passFilters(world))('a list with %s reads the matches once in any order', async (filter) => {
    const ctx = aContext(world.org)
    for (const sort of SORTS) {
      const page = await listVulnerabilities(ctx, request(`&sort=${sort}:desc${filter}`))
      const first = vulnerabilityStatements(world.org, request(`&sort=${sort}:desc${filter}`)).page
      const reads = [await rowsRead(ctx, first)]
      if (page.links.next) {
        const next = readPage(VULNERABILITY_LIST, page.links.next)
        reads.push(await rowsOf(ctx, () => listVulnerabilities(ctx, next)))
      }
      for (const rows of reads) expect(rows).toBeLessThanOrEqual(1.5 * n + 4 * LIMIT + SHOWN)
    }
  })

  it.each(['', 'MEDIUM', 'CRITICAL,HIGH', 'CRITICAL,LOW', SEVERITIES.join(',')])(
    'page 1 of all matches, or of some severities, is a page read with its exact total (%s)',
    async (severities) => {
      const filter = severities && `&severity=${severities}`
      const of = shownMatches(world).filter(
        ({ match }) => !severities || severities.split(',').includes(SEVERITIES[match.severity]!),
      )
      for (const sort of ORDERED) {
        const ctx = aContext(world.org)
        const { meta } = await listVulnerabilities(ctx, request(`&sort=${sort}:desc${filter}`))
        expect([meta.total, meta.totalIsEstimate]).toEqual([of.length, undefined])
        expect(ctx.db.meter.rowsRead).toBeLessThanOrEqual(PAGE + SHOWN)
        expect(ctx.db.meter.roundTrips).toBe(1)
      }
      const decided = world.matches.filter(({ status }) => status !== 0).length
      const ctx = aContext(world.org)
      const { meta } = await listVulnerabilities(ctx, request(`&status=OPEN${filter}`))
      const open = of.filter(({ match }) => match.status === 0)
      expect([meta.total, meta.totalIsEstimate]).toEqual([open.length, undefined])
      expect(ctx.db.meter.rowsRead).toBeLessThanOrEqual(PAGE + SHOWN + decided)
    },
  )

  it('a total that has to be counted is exact up to 10,000, and above says that it is an estimate', async () => {
    const { meta } = await listVulnerabilities(aContext(world.org), request('&scanner=trivy'))
    const exact = shownMatches(world).filter(({ engines }) => (engines & 1) !== 0).length
    expect(meta.totalIsEstimate).toBe(exact > 10_000 ? true : undefined)
    if (exact <= 10_000) expect(meta.total).toBe(exact)
    else expect(Math.abs(meta.total - exact)).toBeLessThan(exact / 100)
  })

  it('a total reads candidates up to 10,000 three times, and more of them once', async () => {
    const ctx = aContext(world.org)
    for (const filter of ['', ...Object.keys(pageFilters(world)), ...passFilters(world)]) {
      const { total } = vulnerabilityStatements(world.org, request(filter))
      expect(await rowsRead(ctx, total!)).toBeLessThanOrEqual(3.2 * Math.min(n, 10_000) + n)
    }
  })

  it('one image, package or CVE costs what it has, page and total together', async () => {
    const ctx = aContext(world.org)
    const image = world.images[3]!
    const match = world.matches[5]!
    const held = [...findingsOf(world)].filter(([artifact]) => artifact.image === image)
    const links = held.reduce((sum, [artifact]) => sum + artifact.links.size, 0)
    const shown = held.reduce((sum, [, list]) => sum + list.length, 0)
    const costs: [string, number][] = [
      [`&image=${image.id}`, links + shown],
      [`&image=${image.name}&severity=CRITICAL`, links + shown],
      [
        `&package=${match.package.name}`,
        world.matches.filter((m) => m.package.name === match.package.name).length * 2,
      ],
      [
        `&cveId=${match.vulnerability}`,
        world.matches.filter((m) => m.vulnerability === match.vulnerability).length * 2,
      ],
    ]
    for (const sort of SORTS)
      for (const [filter, has] of costs) {
        const rows = await rowsOf(ctx, () => listVulnerabilities(ctx, request(`&sort=${sort}:asc${filter}`)))
        expect(rows).toBeLessThanOrEqual(4 * has + 20 + Math.min(has, LIMIT + 1) * 4)
      }
  })

  it("an artifact's findings cost its links and findings, in any order and with any filter", async () => {
    const ctx = aContext(world.org)
    const image = world.images[1]!
    const [artifact, shown] = [...findingsOf(world)].find(([a]) => a.id === image.tags.at(-1)!.artifact)!
    const has = artifact.links.size + shown.length
    for (const sort of SORTS)
      for (const filter of ['', '&severity=HIGH', '&scanner=grype', '&search=lib1', '&fixable=true']) {
        const url = `/api/x?limit=${LIMIT}&sort=${sort}:desc${filter}`
        let page = await listFindings(ctx, placeOfImage(world.org, image.id), readPage(FINDING_LIST, url))
        const first = await rowsOf(ctx, async () => {
          page = await listFindings(ctx, placeOfImage(world.org, image.id), readPage(FINDING_LIST, url))
        })
        expect(first).toBeLessThanOrEqual(4 * has + 20 + SHOWN)
        const { next } = page.links
        if (!next) continue
        const rows = await rowsOf(ctx, () =>
          listFindings(ctx, placeOfImage(world.org, image.id), readPage(FINDING_LIST, next)),
        )
        expect(rows).toBeLessThanOrEqual(2 * has + 20 + SHOWN)
      }
  })

  it('where a vulnerability is, is a page read', async () => {
    const ctx = aContext(world.org)
    const held = Map.groupBy([...findingsOf(world).values()].flat(), ({ match }) => match)
    const [match] = [...held].reduce((most, each) => (each[1].length > most[1].length ? each : most))
    const limit = 5
    let url: string | undefined = `/api/x?limit=${limit}`
    while (url) {
      const request = readPage(VULNERABILITY_IMAGE_LIST, url)
      let page: Awaited<ReturnType<typeof listVulnerabilityImages>> | undefined
      const rows = await rowsOf(ctx, async () => {
        page = await listVulnerabilityImages(ctx, vulnerabilityId(match.id), request)
      })
      expect(rows).toBeLessThanOrEqual(4 * limit + 20 + (limit + 1) * 4)
      url = page!.links.next
    }
  })

  it.each(DISTINCT_FIELDS)('the values of %s cost at most three rows a match', async (field) => {
    const ctx = aContext(world.org)
    const rows = await rowsOf(ctx, () => distinctValues(ctx, field))
    expect(rows).toBeLessThanOrEqual(3 * n + world.images.length + world.artifacts.length + 20)
    expect(ctx.db.meter.roundTrips).toBe(1)
  })
})
