import { createHash } from 'node:crypto'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { reason } from '../../../src/scanning/reasons.ts'
import {
  type EngineDatabase,
  type EngineRun,
  MAX_BLOB_BYTES,
} from '../../../src/scanning/sensors/protocol.ts'
import type { Blob } from '../client/client.ts'
import { judgeAge } from '../databases/database-age.ts'
import { isDiskFull } from '../disk-full.ts'
import type { EngineCommand, EngineDriver, Failure, Platform } from '../engines/engine.ts'
import { lastWords } from '../engines/engine.ts'
import { engineEnvironment } from '../engines/engine-environment.ts'
import type { InstalledEngine } from '../engines/installed-engines.ts'
import { type ProcessEnd, runProcess } from '../engines/process.ts'
import type { Scrub } from './scrub.ts'

export interface EngineTask {
  engine: InstalledEngine
  driver: EngineDriver
  /** The job's directory; the engine gets one of its own in it. */
  jobDir: string
  layoutDir: string
  sourceName: string
  syftJson: string | null
  platform: Platform
  scrub: Scrub
  /** Milliseconds that the job has left. */
  leftMs: number
  signal: AbortSignal
}

export interface EngineOutcome {
  run: EngineRun
  /** The parsed report, free of the runner's paths; null unless it succeeded. */
  report: unknown | null
  raw: Blob | null
  /** Where it wrote, for what others read as it is. */
  outDir: string
}

/**
 * One engine's run: succeeded only with exit 0, a document that parses and that names the right platform. Failures
 * are outcomes; rejects only when the job was stopped.
 */
export async function runEngine(task: EngineTask): Promise<EngineOutcome> {
  const { engine, driver } = task
  const directory = join(task.jobDir, engine.name)
  const outDir = join(directory, 'out')
  const started = performance.now()
  const outcome = (
    database: EngineDatabase | null,
    failure: Failure | null,
    report?: Report,
  ): EngineOutcome => ({
    run: {
      name: engine.name,
      version: engine.version,
      sha256: engine.sha256,
      status: failure ? 'failed' : 'succeeded',
      durationMs: Math.round(performance.now() - started),
      reason: failure && reason(failure.code, task.scrub.text(failure.detail)),
      database,
      raw: failure || !report ? null : { sha256: report.raw.sha256, size: report.raw.content.length },
    },
    report: failure || !report ? null : report.value,
    raw: failure || !report ? null : report.raw,
    outDir,
  })
  const prepared = (await driver.prepare?.()) ?? { database: null, failure: null }
  if (prepared.failure) return outcome(prepared.database, prepared.failure)
  const timeoutMs = Math.max(1, Math.min(driver.timeoutMs, task.leftMs))
  const command = driver.command({ ...task, outDir, timeoutMs })
  const ended = await start(task, directory, command, timeoutMs).then(
    (end) => failureOf(end, driver),
    diskFull,
  )
  task.signal.throwIfAborted()
  if (ended) return outcome(prepared.database, ended)
  const report = await readReport(command.report, task.scrub)
  if (!report || !(await allWritten(command.outputs)))
    return outcome(prepared.database, { code: 'engine_output_invalid', detail: 'It is empty or not JSON.' })
  const database = driver.databaseOf?.(report.value) ?? prepared.database
  const tooOld = database?.source === 'official' ? judgeAge(database.builtAt, Date.now()) : null
  return outcome(database, driver.check(report.value, task.platform) ?? tooOld, report)
}

/** What kept an engine from being started, where that is a full disk; anything else is the runner's failure. */
function diskFull(error: unknown): Failure {
  if (isDiskFull(error)) return { code: 'disk_full', detail: '' }
  throw error
}

async function start(
  { engine, signal }: EngineTask,
  directory: string,
  command: EngineCommand,
  timeoutMs: number,
): Promise<ProcessEnd> {
  await mkdir(join(directory, 'out'), { recursive: true, mode: 0o700 })
  const { env, cwd } = await engineEnvironment(directory)
  return runProcess({
    command: engine.path,
    args: command.args,
    cwd,
    env: { ...env, ...command.env },
    stdoutFile: command.stdout ? command.report : null,
    outputs: command.outputs,
    maxOutputBytes: MAX_BLOB_BYTES,
    timeoutMs,
    signal,
  })
}

function failureOf(end: ProcessEnd, driver: EngineDriver): Failure | null {
  switch (end.kind) {
    case 'exited':
      return end.code === 0 ? null : driver.classify(end.stderr)
    case 'timeout':
      return { code: 'engine_timeout', detail: `After ${Math.round(end.durationMs / 1000)} s.` }
    case 'output_too_large':
      return { code: 'engine_output_too_large', detail: `${MAX_BLOB_BYTES} bytes are allowed.` }
    case 'signalled':
      return { code: 'engine_failed', detail: `It was killed. ${lastWords(end.stderr)}` }
    case 'not_started':
      return { code: 'engine_failed', detail: 'It could not be started.' }
    case 'aborted':
      return { code: 'engine_failed', detail: 'It was stopped.' }
    default:
      return end.kind satisfies never
  }
}

async function allWritten(paths: readonly string[]): Promise<boolean> {
  const files = await Promise.all(paths.map((path) => stat(path).catch(() => null)))
  return files.every((file) => file?.isFile() && file.size > 0)
}

interface Report {
  value: unknown
  raw: Blob
}

/** The report with the runner's paths replaced, as it is stored and as it is normalised. Null when it is not JSON. */
async function readReport(path: string, scrub: Scrub): Promise<Report | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  try {
    const clean = scrub.text(text)
    const value: unknown = JSON.parse(clean)
    return { value, raw: asBlob(Buffer.from(clean), 'application/json') }
  } catch {
    return null
  }
}

/** Bytes with their sha256, as they are uploaded. */
export function asBlob(content: Uint8Array<ArrayBuffer>, mediaType: string): Blob {
  return { content, mediaType, sha256: createHash('sha256').update(content).digest('hex') }
}
