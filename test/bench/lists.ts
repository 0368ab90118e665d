import { type Call, send } from './http.ts'
import { connections, load } from './load.ts'
import { CONNECTIONS, type Plan } from './options.ts'
import { API_HOST, type BenchServer, FLOOR_HOST } from './server.ts'
import { type Sample, type Summary, summarise, throughputRatio } from './statistics.ts'
import type { Tenant } from './tenant.ts'

export interface Target {
  name: string
  call: Call
  /** What one request is charged; null for a floor. */
  d1: { roundTrips: number; rowsRead: number } | null
  /** Items on the page, and how many there are in all. */
  items: number
  total: number | null
}

export interface LoadFigure extends Summary {
  target: string
  connections: number
  /** Throughput against the bare handler, in the same rounds. */
  toBare: number
}

export const BARE = 'bare handler'
const floor = (name: string, path: string): Target => ({
  ...{ name, call: { host: FLOOR_HOST, path }, d1: null, items: 0, total: null },
})
const FLOORS = [floor('empty reply', '/empty'), floor(BARE, '/bare')]
const LISTS = [
  { path: '/api/images', search: 'search=app-1' },
  { path: '/api/scans', search: 'search=app-1' },
  { path: '/api/vulnerabilities', search: 'search=package-11' },
]

/** The floors, and of each list page 1, the page behind its `links.next`, and a search; each read once. */
export async function targetsOf(server: BenchServer, tenant: Tenant): Promise<Target[]> {
  const agent = connections(1)
  const targets = [...FLOORS]
  for (const { path, search } of LISTS) {
    const look = async (name: string, from: string) => {
      const call = { host: API_HOST, path: from, headers: { Authorization: `Bearer ${tenant.apiKey}` } }
      const answer = await send(server.origin, call, agent)
      const body = JSON.parse(answer.text)
      if (answer.status !== 200)
        throw new Error(`${from} answered ${answer.status}: ${answer.text.slice(0, 300)}`)
      const charged = /trips=(\d+) read=(\d+)/.exec(String(answer.headers['server-timing']))
      if (!charged) throw new Error(`${from} does not say what D1 charged`)
      const d1 = { roundTrips: Number(charged[1]), rowsRead: Number(charged[2]) }
      targets.push({ name, call, d1, items: body.data.length, total: body.meta.total })
      return body.links.next as string | undefined
    }
    const next = await look(`${path} page 1`, path)
    if (!next) throw new Error(`${path} has a single page: there is nothing to continue`)
    await look(`${path} next page`, next)
    await look(`${path} ${search}`, `${path}?${search}`)
  }
  agent.destroy()
  return targets
}

/** Puts load on every target in interleaved rounds, so that what else the machine does hits all of them alike. */
export async function measureLoad(
  server: BenchServer,
  targets: readonly Target[],
  plan: Plan,
): Promise<LoadFigure[]> {
  const figures: LoadFigure[] = []
  for (const number of CONNECTIONS) {
    const agent = connections(number)
    const samples = new Map<string, Sample[]>(targets.map(({ name }) => [name, []]))
    for (let round = 0; round < plan.rounds; round++)
      for (const { name, call } of targets)
        samples.get(name)!.push(await load(server.origin, call, agent, plan.roundMs))
    agent.destroy()
    const base = samples.get(BARE)!
    for (const [target, rounds] of samples)
      figures.push({
        target,
        connections: number,
        ...summarise(rounds),
        toBare: throughputRatio(rounds, base),
      })
  }
  return figures
}
