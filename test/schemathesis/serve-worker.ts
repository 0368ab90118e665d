import { randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createTestHarness } from 'wrangler'

const secret = () => randomBytes(32).toString('base64')

export interface ServedWorker {
  /** workerd's own address: requests do not pass wrangler's proxy. */
  origin: string
  operatorToken: string
  close(): Promise<void>
}

/** The real Worker in workerd, with storage of its own that is gone at `close`; its rate limits are on. */
export async function serveWorker(root: string): Promise<ServedWorker> {
  const operatorToken = secret()
  const secrets = {
    OPERATOR_TOKEN: operatorToken,
    ROOT_KEYS: JSON.stringify({ active: 'test', keys: { test: secret() } }),
  }
  const vars = { ALLOW_PRIVATE_NETWORKS: 'true', REGISTRY_TIMEOUT_MS: '1000' }
  const harness = createTestHarness({ root, workers: [{ configPath: 'wrangler.toml', vars, secrets }] })
  await harness.listen()
  const worker = harness.getWorker()
  for (const binding of ['DIRECTORY', 'SHARD_00', 'SHARD_01']) await worker.applyD1Migrations(binding)
  const origin = await addressOf(() => worker.fetch('http://api.test/api/health'))
  return { origin, operatorToken, close: () => harness.close() }
}

/** Where a call of the harness goes: workerd itself. */
async function addressOf(call: () => Promise<{ text(): Promise<string> }>): Promise<string> {
  let origin: string | undefined
  const note = (message: unknown) => {
    origin ??= String((message as { request: { origin?: string | URL } }).request.origin)
  }
  subscribe('undici:request:create', note)
  try {
    await (await call()).text()
  } finally {
    unsubscribe('undici:request:create', note)
  }
  if (!origin) throw new Error('the address of workerd is not known')
  return new URL(origin).origin
}
