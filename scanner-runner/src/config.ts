import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { ENGINES, type EngineName, RunnerLabels } from '../../src/scanning/sensors/protocol.ts'
import { LOG_LEVELS, type LogLevel } from './log.ts'

const GIB = 1024 ** 3

export interface Config {
  /** Base address of the server; a path prefix is kept, a trailing slash is not. */
  dashboardUrl: string
  apiKey: string
  agentName: string
  workDir: string
  enginesDir: string
  enabledScanners: EngineName[]
  pollIntervalMs: number
  /** How long a server that can may hold a poll until there is a job; 0 for not at all. */
  pollWaitSeconds: number
  concurrency: number
  labels: string[]
  /** Of an image's compressed layers together. */
  maxImageBytes: number
  /** Of its unpacked layers together: what engines write to the temporary directory. */
  maxUnpackedBytes: number
  scanTimeoutMs: number
  shutdownGraceMs: number
  allowPrivateNetworks: boolean
  /** Directory of sample databases; null means that only official databases are ever used. */
  sampleDatabases: string | null
  trivyCacheDir: string
  grypeCacheDir: string
  logLevel: LogLevel
  /** Where metrics and health are served on loopback; `isChosen` when the environment says so. Null for nowhere. */
  metrics: { port: number; isChosen: boolean } | null
}

export type ParsedConfig = { ok: true; config: Config } | { ok: false; problems: string[] }

const whole = (min: number, max: number, fallback: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .default(fallback)

const flag = z.enum(['true', 'false'], { error: 'must be true or false' }).default('false')
// Engines print these paths into their reports, where they are replaced as text: nothing that JSON escapes.
const directory = z
  .string()
  .max(4096)
  .regex(
    /^[^"'\\<>&\p{Cc}\u2028\u2029]+$/u,
    'must be a path without quotes, backslashes, <, >, & or control characters',
  )
  .transform((path) => resolve(path))

const DashboardUrl = z
  .string({ error: 'is required' })
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'must be an http(s) address',
  )
  .refine(
    (text) => !URL.canParse(text) || new URL(text).username === '',
    'must not contain a user or password',
  )
  .transform((text) => {
    const url = new URL(text)
    return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
  })

const Scanners = z
  .string()
  .transform((text) => [...new Set(text.split(',').map((name) => name.trim()))].filter((name) => name !== ''))
  .pipe(
    z
      .array(z.enum(ENGINES, { error: `may only name ${ENGINES.join(', ')}` }))
      .min(1, 'must name at least one scanner'),
  )
  .default(['trivy', 'grype', 'syft'])

const Labels = z
  .string()
  .transform((text) =>
    [...new Set(text.split(',').map((label) => label.trim()))].filter((label) => label !== ''),
  )
  .pipe(RunnerLabels)
  .default([])

const METRICS_PORT = 9464 // Prometheus' own for exporters of this kind

const MetricsPort = z
  .string()
  .regex(/^(off|\d{1,5})$/, 'must be a port or off')
  .transform((text) => (text === 'off' ? null : Number(text)))
  .pipe(z.int().max(65535, 'must be at most 65535').nullable())
  .optional()

const Environment = z.object({
  HG_DASHBOARD_URL: DashboardUrl,
  HG_API_KEY: z
    .string()
    .trim()
    .regex(/^hg_[a-z]+_[A-Za-z0-9]{16,128}$/, 'is not a HarborGuard key (hg_rk_… or hg_ak_…)')
    .optional(),
  HG_AGENT_NAME: z.string().trim().max(256, 'must have at most 256 characters').optional(),
  HG_WORK_DIR: directory.default('/workspace'),
  HG_ENGINES_DIR: directory.default('/usr/local/bin'),
  HG_ENABLED_SCANNERS: Scanners,
  HG_POLL_INTERVAL_MS: whole(100, 300_000, 2000),
  HG_POLL_WAIT_SECONDS: whole(0, 25, 25), // 25: what a server holds a poll for at most
  HG_CONCURRENCY: whole(1, 4, 1),
  HG_LABELS: Labels,
  HG_METRICS_PORT: MetricsPort,
  HG_MAX_IMAGE_BYTES: whole(1, 1024 * GIB, 10 * GIB),
  HG_MAX_UNPACKED_BYTES: whole(1, 4096 * GIB, 40 * GIB),
  HG_SCAN_TIMEOUT_MINUTES: whole(1, 60, 30), // 60: the server ends every scan by then
  HG_SHUTDOWN_GRACE_SECONDS: whole(0, 300, 10),
  HG_ALLOW_PRIVATE_NETWORKS: flag,
  HG_SAMPLE_DATABASES: directory.optional(),
  TRIVY_CACHE_DIR: directory.optional(),
  GRYPE_DB_CACHE_DIR: directory.optional(),
  HG_LOG_LEVEL: z.enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` }).default('info'),
})

/**
 * The runner's settings from its environment; empty variables count as absent. `readFile` reads HG_API_KEY_FILE.
 * Problems name the variable and never repeat its value.
 */
export function parseConfig(
  env: Record<string, string | undefined>,
  readFile: (path: string) => string,
): ParsedConfig {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const problems: string[] = []
  if (!given.HG_API_KEY && given.HG_API_KEY_FILE) {
    try {
      given.HG_API_KEY = readFile(given.HG_API_KEY_FILE).trim()
    } catch {
      problems.push('HG_API_KEY_FILE cannot be read')
    }
  }
  const parsed = Environment.safeParse(given)
  for (const issue of parsed.error?.issues ?? []) problems.push(`${String(issue.path[0])} ${issue.message}`)
  if (!given.HG_API_KEY && !given.HG_API_KEY_FILE) problems.push('HG_API_KEY or HG_API_KEY_FILE is required')
  if (!parsed.success || problems.length > 0 || !parsed.data.HG_API_KEY) return { ok: false, problems }
  return { ok: true, config: fromEnvironment(parsed.data, parsed.data.HG_API_KEY) }
}

function fromEnvironment(env: z.infer<typeof Environment>, apiKey: string): Config {
  const samples = env.HG_SAMPLE_DATABASES ?? null
  const databases = samples ?? join(env.HG_WORK_DIR, 'databases')
  return {
    dashboardUrl: env.HG_DASHBOARD_URL,
    apiKey,
    agentName: env.HG_AGENT_NAME || hostname() || 'runner',
    workDir: env.HG_WORK_DIR,
    enginesDir: env.HG_ENGINES_DIR,
    enabledScanners: env.HG_ENABLED_SCANNERS,
    pollIntervalMs: env.HG_POLL_INTERVAL_MS,
    pollWaitSeconds: env.HG_POLL_WAIT_SECONDS,
    concurrency: env.HG_CONCURRENCY,
    labels: env.HG_LABELS,
    maxImageBytes: env.HG_MAX_IMAGE_BYTES,
    maxUnpackedBytes: env.HG_MAX_UNPACKED_BYTES,
    scanTimeoutMs: env.HG_SCAN_TIMEOUT_MINUTES * 60_000,
    shutdownGraceMs: env.HG_SHUTDOWN_GRACE_SECONDS * 1000,
    allowPrivateNetworks: env.HG_ALLOW_PRIVATE_NETWORKS === 'true',
    sampleDatabases: samples,
    trivyCacheDir: samples ? join(samples, 'trivy') : (env.TRIVY_CACHE_DIR ?? join(databases, 'trivy')),
    grypeCacheDir: samples ? join(samples, 'grype') : (env.GRYPE_DB_CACHE_DIR ?? join(databases, 'grype')),
    logLevel: env.HG_LOG_LEVEL,
    metrics: metricsOf(env.HG_METRICS_PORT),
  }
}

const metricsOf = (port: number | null | undefined): Config['metrics'] =>
  port === null ? null : { port: port ?? METRICS_PORT, isChosen: port !== undefined }
