import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { fileURLToPath } from 'node:url'
import type { D1Database } from '@cloudflare/workers-types'
import { createTestHarness, type TestHarness, type TestHarnessOptions } from 'wrangler'
import { FLOOR_ROWS } from './floor-rows.ts'

export const API_HOST = 'api.bench'
export const FLOOR_HOST = 'floor.bench'
const FLOOR = 'floor'
const DATABASES = ['DIRECTORY', 'SHARD_00', 'SHARD_01'] as const

/** What one queue message cost, as the Worker logs it. */
export interface MessageCost {
  kind: string
  scanId?: string
  ms: number
  roundTrips: number
  rowsRead: number
  rowsWritten: number
}

/** The real Worker and the floor in one workerd, with databases of their own that are gone at `close`. */
export interface BenchServer {
  /** workerd's own address: requests do not pass wrangler's proxy. The `Host` header chooses the Worker. */
  readonly origin: URL
  readonly operatorToken: string
  /** D1 databases of the real Worker, by binding. */
  database(binding: string): Promise<D1Database>
  messageCosts(): MessageCost[]
  /** Serves on, with the same data, without counting what D1 charges. Changes `origin`. */
  stopMetering(): Promise<void>
  close(): Promise<void>
}

/** `vars` are added to those of wrangler.toml. */
export async function startServer(root: string, vars: Record<string, string> = {}): Promise<BenchServer> {
  const operatorToken = randomBytes(32).toString('base64')
  const rootKeys = { active: 'bench', keys: { bench: randomBytes(32).toString('base64') } }
  const options = (metered: boolean): TestHarnessOptions => ({
    root,
    workers: [
      {
        configPath: 'wrangler.toml',
        vars: { ...vars, EXPOSE_D1_METER: String(metered), LOG_LEVEL: metered ? 'info' : 'warn' },
        secrets: { OPERATOR_TOKEN: operatorToken, ROOT_KEYS: JSON.stringify(rootKeys) },
      },
      { config: floorConfig() },
    ],
  })
  const harness = createTestHarness(options(true))
  await harness.listen()
  for (const binding of DATABASES) await harness.getWorker().applyD1Migrations(binding)
  await seedFloor(harness)
  let origin = await runtimeOrigin(harness)
  return {
    get origin() {
      return origin
    },
    operatorToken,
    database: async (binding) => (await harness.getWorker().getEnv())[binding] as D1Database,
    messageCosts: () => harness.getLogs().flatMap(({ message }) => costOf(message)),
    stopMetering: async () => {
      await harness.update(options(false))
      origin = await runtimeOrigin(harness)
    },
    close: () => harness.close(),
  }
}

const floorConfig = () => ({
  name: FLOOR,
  main: fileURLToPath(new URL('./floor-worker.ts', import.meta.url)),
  compatibility_date: '2026-11-02',
  routes: [`${FLOOR_HOST}/*`],
  d1_databases: ['DIRECTORY', 'SHARD'].map((binding) => ({
    ...{ binding, database_name: `floor-${binding}`, database_id: `floor-${binding}` },
  })),
})

async function seedFloor(harness: TestHarness): Promise<void> {
  const env = (await harness.getWorker(FLOOR).getEnv()) as Record<string, D1Database>
  for (const [binding, statements] of Object.entries(FLOOR_ROWS))
    for (const sql of statements) await env[binding]!.prepare(sql).run()
}

/** The harness's URL leads through wrangler's proxy; its own calls of a Worker do not. This is where they go. */
async function runtimeOrigin(harness: TestHarness): Promise<URL> {
  let origin: string | URL | undefined
  const note = (message: unknown) => {
    origin ??= (message as { request: { origin?: string | URL } }).request.origin
  }
  subscribe('undici:request:create', note)
  try {
    await (await harness.getWorker(FLOOR).fetch(`http://${FLOOR_HOST}/empty`)).text()
  } finally {
    unsubscribe('undici:request:create', note)
  }
  if (!origin) throw new Error('the address of workerd is not known')
  return new URL(origin)
}

function costOf(line: string): MessageCost[] {
  if (!line.includes('"event":"message"')) return []
  return [JSON.parse(line) as MessageCost]
}
