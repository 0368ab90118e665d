import type { WorkMessage } from './queue.ts'

/** Bindings, variables and secrets of wrangler.toml. Shards are found by name: `SHARD_` + placement. */
export interface Env {
  DIRECTORY: D1Database
  ARTIFACTS: R2Bucket
  WORK: Queue<WorkMessage>
  ASSETS: Fetcher
  RATE_LIMITS: DurableObjectNamespace<import('./http/rate-limit.ts').RateLimit>
  RUNNER_POOLS: DurableObjectNamespace<import('./scanning/sensors/runner-pool.ts').RunnerPool>
  SCAN_VIEWERS: DurableObjectNamespace<import('./scanning/scan-viewers.ts').ScanViewers>
  ALLOW_PRIVATE_NETWORKS: string
  /** Bearer of the operator routes, at least 32 characters. Without it they do not exist. */
  OPERATOR_TOKEN?: string
  /** JSON `{active, keys: {id: base64 of 32 bytes}}`. Without it every route that needs a secret answers 503. */
  ROOT_KEYS?: string
  /** Milliseconds that the Worker waits for one answer of a registry; 20,000 where absent. */
  REGISTRY_TIMEOUT_MS?: string
  /** "true" adds a `Server-Timing` header with D1 round trips and rows; tests set it. */
  EXPOSE_D1_METER?: string
  /** The least level that is logged: debug, info, warn, error or silent; info where absent. */
  LOG_LEVEL?: string
  /** Analytics Engine: a data point a request, queue message and cron run, where it is bound. */
  METRICS?: AnalyticsEngineDataset
  [shard: `SHARD_${string}`]: D1Database
}

export const allowsPrivateNetworks = (env: Env): boolean => env.ALLOW_PRIVATE_NETWORKS === 'true'
