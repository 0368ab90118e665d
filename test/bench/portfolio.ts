import { type Cost, costOf, send } from './http.ts'
import { targetOf } from './lists.ts'
import { connections } from './load.ts'
import type { Plan } from './options.ts'
import { buildOf, scanAll } from './seed.ts'
import type { BenchServer } from './server.ts'
import { percentile } from './statistics.ts'
import { aTenant, type Tenant } from './tenant.ts'
import { fleetOf } from './world.ts'

const IMAGES_OF_NEIGHBOUR = 4
const SORTS = ['severity', 'cvss', 'cveId', 'detectedAt', 'triageStatus'] // all that the list offers
const PAGES = (plan: Plan) => [1, plan.portfolio.page]

export interface PageFigure {
  sort: string
  page: number
  rowsRead: number
  /** Inside the Worker, from its entry to its reply, both D1 calls included; whole milliseconds. */
  p50: number
  p99: number
}

export interface Portfolio {
  findings: number
  matches: number
  neighbours: number
  pages: PageFigure[]
}

/** Grows the organization's fleet to its full size, with small organizations beside it. */
export async function growPortfolio(
  server: BenchServer,
  tenant: Tenant,
  plan: Plan,
  now: number,
): Promise<void> {
  await scanAll(server, tenant, fleetOf(plan.images, plan.portfolio.images), buildOf(now, 1))
  for (let number = 1; number <= plan.portfolio.neighbours; number++) {
    const neighbour = await aTenant(server, `Neighbour ${number}`)
    await scanAll(server, neighbour, fleetOf(number, number + IMAGES_OF_NEIGHBOUR), buildOf(now, 0))
  }
}

/** Reads page 1 and a late page, reached by its cursor, of the organization's list in every order and direction. */
export async function measurePortfolio(server: BenchServer, tenant: Tenant, plan: Plan): Promise<Portfolio> {
  const pages: PageFigure[] = []
  for (const column of SORTS)
    for (const direction of ['desc', 'asc'])
      for (const page of PAGES(plan)) {
        const sort = `${column}:${direction}`
        const path = await pathOf(server, tenant, sort, page)
        const costs = await readOften(server, tenant, path, plan.portfolio.reads)
        const times = costs.map(({ ms }) => ms)
        const rowsRead = Math.max(...costs.map((cost) => cost.rowsRead))
        pages.push({ sort, page, rowsRead, p50: percentile(times, 50), p99: percentile(times, 99) })
      }
  const sums = await (await server.database(tenant.shard))
    .prepare(
      `SELECT (SELECT sum(critical + high + medium + low + unknown) FROM artifacts WHERE org = ?1) AS findings,
        (SELECT count(*) FROM matches WHERE org = ?1) AS matches`,
    )
    .bind(tenant.num)
    .first<{ findings: number; matches: number }>()
  return { ...sums!, neighbours: plan.portfolio.neighbours, pages }
}

/** A page's address with its cursor: the `links.next` of the page before it. */
async function pathOf(server: BenchServer, tenant: Tenant, sort: string, page: number): Promise<string> {
  if (page === 1) return `/api/vulnerabilities?sort=${sort}`
  const before = `/api/vulnerabilities?sort=${sort}&page=${page - 1}`
  const { body } = await targetOf(server, tenant, before, before)
  if (!body.links.next) throw new Error(`there is no page ${page}`)
  return body.links.next
}

async function readOften(server: BenchServer, tenant: Tenant, path: string, times: number): Promise<Cost[]> {
  const agent = connections(1)
  const { call } = (await targetOf(server, tenant, path, path)).target
  const costs: Cost[] = []
  for (let time = 0; time < times; time++) costs.push(costOf(await send(server.origin, call, agent)))
  agent.destroy()
  return costs
}
