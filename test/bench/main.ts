import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { measureBundle } from './bundle.ts'
import { measureIngest } from './ingest.ts'
import { measureLoad, targetsOf } from './lists.ts'
import { type Plan, readOptions, USAGE } from './options.ts'
import { printReport, type Report } from './report.ts'
import { startServer } from './server.ts'
import { aTenant } from './tenant.ts'
import { makeWorld } from './world.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
// Wrangler asks nobody where in the world it is, and does not print what its queues do.
Object.assign(process.env, { CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_LOG: 'warn' })

/** Measures everything once; asserts no time. */
async function bench(plan: Plan): Promise<Report> {
  const started = Date.now()
  const loadAverageBefore = loadavg()[0]!
  const dir = mkdtempSync(join(tmpdir(), 'harborguard-bench-'))
  const bundle = await step('bundle', () => measureBundle(root, dir)).finally(() =>
    rmSync(dir, { recursive: true, force: true }),
  )
  const server = await step('server', () => startServer(root))
  const stop = () => server.close().finally(() => process.exit(130))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    const tenant = await aTenant(server)
    const storage = await step('storage', () => makeWorld(server, tenant, plan.images, started))
    const ingest = await step('ingest', () => measureIngest(server, tenant, plan.repeats, started))
    const targets = await targetsOf(server, tenant)
    await server.stopMetering()
    const load = await step('lists', () => measureLoad(server, targets, plan))
    const [cpu] = cpus()
    return {
      ...{ at: new Date(started).toISOString(), seconds: (Date.now() - started) / 1000, plan },
      machine: {
        ...{ cpus: cpus().length, cpu: cpu?.model.trim() ?? 'unknown', node: process.versions.node },
        ...{ loadAverageBefore, loadAverageAfter: loadavg()[0]! },
      },
      targets: targets.map(({ call, ...target }) => ({ ...target, path: call.path })),
      ...{ load, ingest, storage, bundle },
    }
  } finally {
    await server.close()
  }
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
