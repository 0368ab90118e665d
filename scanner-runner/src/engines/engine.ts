import type { ReasonCode } from '../../../src/scanning/reasons.ts'
import type { EngineDatabase } from '../../../src/scanning/sensors/protocol.ts'

export const RUNNER_ENGINES = ['trivy', 'grype', 'syft'] as const
export type RunnerEngine = (typeof RUNNER_ENGINES)[number]

export const isRunnerEngine = (name: string): name is RunnerEngine =>
  (RUNNER_ENGINES as readonly string[]).includes(name)

/** An engine's failure: a code of the reason catalogue and what the engine itself said. */
export interface Failure {
  code: ReasonCode
  detail: string
}

export interface Platform {
  os: string
  architecture: string
}

/** What an engine works on and where it may write. Paths are absolute. */
interface EngineInput {
  layoutDir: string
  /** The image reference without digest: the SBOM's name of what it describes. */
  sourceName: string
  /** syft's JSON when there is one. */
  syftJson: string | null
  outDir: string
  timeoutMs: number
}

export interface EngineCommand {
  args: string[]
  env: Record<string, string>
  /** The JSON report, written by the engine itself or, with `stdout`, by redirection. */
  report: string
  stdout: boolean
  /** Every file that it writes, the report among them. */
  outputs: string[]
}

/** One engine: how it is called and how its words are read. All but `prepare` is pure. */
export interface EngineDriver {
  name: RunnerEngine
  timeoutMs: number
  versionArgs: readonly string[]
  /** The version in what `versionArgs` print, or null. */
  readVersion(stdout: string): string | null
  /** Looks at the database before the run; engines without one have none. */
  prepare?(): Promise<{ database: EngineDatabase | null; failure: Failure | null }>
  command(input: EngineInput): EngineCommand
  /** What is wrong with a parsed report, or null: success is exit 0 and this. */
  check(report: unknown, platform: Platform): Failure | null
  /** The database that a report was made with, where the report says it. */
  databaseOf?(report: unknown): EngineDatabase | null
  /** Why it failed, from its stderr. */
  classify(stderr: string): Failure
}

/** Reads a member of a version document, or null. */
export function versionMember(stdout: string, member: string): string | null {
  try {
    const value = (JSON.parse(stdout) as Record<string, unknown>)[member]
    return typeof value === 'string' && value !== '' ? value.slice(0, 128) : null
  } catch {
    return null
  }
}

/** Compares what a report says it looked at with the platform of the image. */
export function checkPlatform(os: unknown, architecture: unknown, wanted: Platform): Failure | null {
  if (os === wanted.os && architecture === wanted.architecture) return null
  return { code: 'engine_wrong_platform', detail: `It says ${String(os)}/${String(architecture)}.` }
}

const MAX_WORDS = 300
const CHATTER = /^(?:\S+Z\s+|\[\d+\]\s+)?(?:TRACE|DEBUG|INFO|WARN|warning)\b/
const STAMP = /^(?:\d{4}-\d\d-\d\dT\S+\s+|\[\d+\]\s+)/

/** What stderr says at its end, without warnings and time stamps: one line of at most 300 characters. */
export function lastWords(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const crash = lines.find((line) => /^(?:panic|fatal error): /.test(line))
  if (crash) return crash.slice(0, MAX_WORDS)
  const telling = lines.filter((line) => !CHATTER.test(line))
  const said = (telling.length > 0 ? telling : lines)
    .slice(-2)
    .map((line) => line.replace(STAMP, '').replace(/\s+/g, ' '))
    .join(' | ')
  return said.length <= MAX_WORDS ? said : `${said.slice(0, 99)}…${said.slice(-(MAX_WORDS - 100))}`
}

const DISK_FULL = /no space left on device|disk quota exceeded/i

/** A full disk, else the first failure whose pattern stderr matches, else `engine_failed`; with its last words. */
export function classifyBy(table: readonly (readonly [RegExp, Failure['code']])[], stderr: string): Failure {
  const known = DISK_FULL.test(stderr) ? 'disk_full' : table.find(([pattern]) => pattern.test(stderr))?.[1]
  const code = known ?? 'engine_failed'
  return { code, detail: lastWords(stderr) }
}
