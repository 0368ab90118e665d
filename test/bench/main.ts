import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measureBundle } from './bundle.ts'
import { measureClaims } from './claims.ts'
import { send } from './http.ts'
import { measureIngest } from './ingest.ts'
import { measureLoad, type Target, targetsOf } from './lists.ts'
import { connections } from './load.ts'
import { measureMemory } from './memory.ts'
import { type Plan, readOptions, USAGE } from './options.ts'
import { growPortfolio, measurePortfolio } from './portfolio.ts'
import { printReport, type Report } from './report.ts'
import { type BenchServer, startServer } from './server.ts'
import { measureStartup } from './startup.ts'
import { makeFleet } from './storage.ts'
import { aTenant } from './tenant.ts'
import { measureVerdict } from './verdict.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
// Wrangler asks nobody where in the world it is, and does not print what its queues do.
Object.assign(process.env, { CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_LOG: 'warn' })

/** Measures everything once; asserts no time. */
async function bench(plan: Plan): Promise<Report> {
  const started = Date.now()
  const loadAverageBefore = loadavg()[0]!
  const dir = mkdtempSync(join(tmpdir(), 'harborguard-bench-'))
  const code = await measureCode(dir).finally(() => rmSync(dir, { recursive: true, force: true }))
  const server = await step('server', () => startServer(root))
  const stop = () => server.close().finally(() => process.exit(130))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const figures = await measure(server, plan, started)
    const [cpu] = cpus()
    return {
      ...{ at: new Date(started).toISOString(), seconds: (Date.now() - started) / 1000, plan },
      machine: {
        ...{ cpus: cpus().length, cpu: cpu?.model.trim() ?? 'unknown', node: process.versions.node },
        ...{ loadAverageBefore, loadAverageAfter: loadavg()[0]! },
      },
      ...{ ...figures, ...code },
    }
  } finally {
    await server.close()
  }
}

/** The Worker's code: what is uploaded, and what it takes to start it. */
async function measureCode(dir: string) {
  const bundle = await step('bundle', () => measureBundle(root, dir))
  return { bundle, startupMs: await step('startup', () => measureStartup(root, dir)) }
}

/** What is charged and how long it takes inside while the Worker is metered; then throughput and memory without. */
async function measure(server: BenchServer, plan: Plan, now: number) {
  const tenant = await aTenant(server)
  const storage = await step('storage', () => makeFleet(root, server, tenant, plan, now))
  const ingest = await step('ingest', () => measureIngest(server, tenant, plan.repeats, now))
  const targets = await targetsOf(server, tenant)
  const verdict = await step('verdict', () => measureVerdict(server, plan.holders, now))
  await step('growing', () => growPortfolio(server, tenant, plan, now))
  const portfolio = await step('portfolio', () => measurePortfolio(server, tenant, plan))
  const claims = await step('claims', () => measureClaims(server, plan.queued))
  await server.stopMetering()
  const coldMs = await firstReplyMs(server, targets.at(-1)!)
  const load = await step('load', () => measureLoad(server, targets, plan))
  const memory = await step('memory', () => measureMemory(server, targets, plan.memorySeconds))
  return {
    targets: targets.map(({ call, ...target }) => ({ ...target, path: call.path })),
    ...{ load, ingest, storage, verdict, portfolio, claims, coldMs, memory },
  }
}

/** The first reply of a Worker that was just started, with its databases closed. */
async function firstReplyMs(server: BenchServer, { call }: Target): Promise<number> {
  const agent = connections(1)
  const { ms } = await send(server.origin, call, agent)
  agent.destroy()
  return ms
}

/** Says on stderr what runs now and how long it took. */
async function step<T>(name: string, run: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await run()
  console.error(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`)
  return result
}

let options: ReturnType<typeof readOptions>
try {
  options = readOptions(process.argv.slice(2), new Date())
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`)
  process.exit(2)
}
const report = await bench(options.plan)
writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
console.log(`${printReport(report)}\nAll figures: ${options.json}`)
