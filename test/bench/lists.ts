import { type Call, type Cost, costOf, send } from './http.ts'
import { connections, load } from './load.ts'
import { CONNECTIONS, type Plan } from './options.ts'
import { processorClock } from './processes.ts'
import { API_HOST, type BenchServer, FLOOR_HOST } from './server.ts'
import { median, type Sample, type Summary, summarise, throughputRatio } from './statistics.ts'
import { json, type Tenant } from './tenant.ts'

export interface Target {
  name: string
  call: Call
  /** What one request is charged; null for a floor. */
  cost: Cost | null
  /** Items on the page, and how many there are in all; null for what is no list. */
  items: number | null
  total: number | null
}

export interface LoadFigure extends Summary {
  target: string
  connections: number
  /** Throughput against the bare handler, in the same rounds. */
  toBare: number
  /** Processor time of the serving processes for one request; null where the system does not tell. */
  processorMs: number | null
}

export const BARE = 'bare handler'
const floor = (name: string, path: string): Target => ({
  ...{ name, call: { host: FLOOR_HOST, path }, cost: null, items: null, total: null },
})
const FLOORS = [floor('empty reply', '/empty'), floor(BARE, '/bare')]
const LISTS = [
  { path: '/api/images', search: 'search=app-1' },
  { path: '/api/scans', search: 'search=app-1' },
  { path: '/api/vulnerabilities', search: 'search=package-11' },
]
const DISTINCT = ['severity', 'image', 'package', 'cveId'] as const

/**
 * The floors; of each list page 1, the page behind its `links.next`, and a search; of each thing its detail, and the
 * lists below it; distinct values. Each is read once.
 */
export async function targetsOf(server: BenchServer, tenant: Tenant): Promise<Target[]> {
  const targets = [...FLOORS]
  const look = async (name: string, path: string) => {
    const found = await targetOf(server, tenant, name, path)
    targets.push(found.target)
    return found.body
  }
  for (const { path, search } of LISTS) {
    const first = await look(`${path} page 1`, path)
    if (!first.links.next) throw new Error(`${path} has a single page: there is nothing to continue`)
    await look(`${path} next page`, first.links.next)
    await look(`${path} ${search}`, `${path}?${search}`)
  }
  const firstOf = async (path: string) => json(await tenant.get(path)).data[0].id as string
  const image = `/api/images/${await firstOf('/api/images?search=app-1')}`
  const scan = `/api/scans/${await firstOf('/api/scans?status=COMPLETE')}`
  const vulnerability = `/api/vulnerabilities/${await firstOf('/api/vulnerabilities')}`
  await look('image', image)
  await look('image: vulnerabilities', `${image}/vulnerabilities`)
  await look('scan', scan)
  await look('scan: vulnerabilities', `${scan}/vulnerabilities`)
  await look('vulnerability', vulnerability)
  await look('vulnerability: images', `${vulnerability}/images`)
  for (const field of DISTINCT)
    await look(`distinct ${field}`, `/api/vulnerabilities/distinct?field=${field}`)
  return targets
}

/** A request with the tenant's key, made once. Throws unless it is answered 200. */
export async function targetOf(server: BenchServer, tenant: Tenant, name: string, path: string) {
  const agent = connections(1)
  const call = { host: API_HOST, path, headers: { Authorization: `Bearer ${tenant.apiKey}` } }
  const answer = await send(server.origin, call, agent).finally(() => agent.destroy())
  if (answer.status !== 200)
    throw new Error(`${path} answered ${answer.status}: ${answer.text.slice(0, 300)}`)
  const body = json(answer)
  const items = Array.isArray(body.data) ? body.data.length : null
  const target: Target = { name, call, cost: costOf(answer), items, total: body.meta?.total ?? null }
  return { target, body, answer }
}

interface Round extends Sample {
  processorMs: number | null
}

/** Puts load on every target in interleaved rounds, so that what else the machine does hits all of them alike. */
export async function measureLoad(
  server: BenchServer,
  targets: readonly Target[],
  plan: Plan,
): Promise<LoadFigure[]> {
  const clock = processorClock()
  const figures: LoadFigure[] = []
  for (const number of CONNECTIONS) {
    const agent = connections(number)
    const samples = new Map<string, Round[]>(targets.map(({ name }) => [name, []]))
    for (let round = 0; round < plan.rounds; round++)
      for (const { name, call } of targets) {
        const before = clock?.()
        const sample = await load(server.origin, call, agent, plan.roundMs)
        const used = clock && before !== undefined ? clock() - before : null
        samples.get(name)!.push({
          ...sample,
          processorMs: used === null ? null : used / sample.latencies.length,
        })
      }
    agent.destroy()
    const base = samples.get(BARE)!
    for (const [target, rounds] of samples)
      figures.push({
        ...{ target, connections: number, ...summarise(rounds) },
        toBare: throughputRatio(rounds, base),
        processorMs: clock && median(rounds.map(({ processorMs }) => processorMs!)),
      })
  }
  return figures
}
