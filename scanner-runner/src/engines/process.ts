import { type ChildProcess, spawn } from 'node:child_process'
import { open, stat } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'

const TERM_TO_KILL_MS = 3000
const STDERR_HEAD = 4096 // bytes of stderr kept from its beginning: a crash says there what it was
const STDERR_TAIL = 8192 // and from its end: an error says there why
const SIZE_CHECK_MS = 250
const PIPE_CLOSE_MS = 1000 // how long an escaped grandchild may hold stderr open

export interface ProcessSpec {
  command: string
  args: readonly string[]
  cwd: string
  /** The whole environment: nothing of the runner's own is passed on. */
  env: Record<string, string>
  /** Where stdout goes; null discards it. */
  stdoutFile: string | null
  /** Files that the process writes, stdout's among them: each is held to `maxOutputBytes`. */
  outputs: readonly string[]
  maxOutputBytes: number
  timeoutMs: number
  signal: AbortSignal
  killAfterMs?: number
}

export interface ProcessEnd {
  kind: 'exited' | 'signalled' | 'timeout' | 'output_too_large' | 'aborted' | 'not_started'
  code: number | null
  durationMs: number
  /** The first 4 and the last 8 kB of stderr, without colours. */
  stderr: string
}

const groups = new Set<number>()
process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL')
})

/**
 * Runs a program in a process group of its own, without a shell, and waits until the whole group is gone. At its
 * deadline, an abort or too much output it gets SIGTERM, then SIGKILL (never SIGINT, on which engines exit 0).
 */
export async function runProcess(spec: ProcessSpec): Promise<ProcessEnd> {
  const started = performance.now()
  const end = (kind: ProcessEnd['kind'], code: number | null, stderr: string): ProcessEnd => ({
    kind,
    code,
    stderr: stripColours(stderr),
    durationMs: Math.round(performance.now() - started),
  })
  if (spec.signal.aborted) return end('aborted', null, '')
  const stdout = spec.stdoutFile === null ? null : await open(spec.stdoutFile, 'w', 0o600)
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: spec.env,
    detached: true,
    stdio: ['ignore', stdout?.fd ?? 'ignore', 'pipe'],
  })
  const tail = keepEnds(child)
  try {
    return await supervise(child, spec, tail, end)
  } finally {
    await stdout?.close()
  }
}

async function supervise(
  child: ChildProcess,
  spec: ProcessSpec,
  tail: { text: () => string; closed: Promise<void> },
  end: (kind: ProcessEnd['kind'], code: number | null, stderr: string) => ProcessEnd,
): Promise<ProcessEnd> {
  const exited = new Promise<{ code: number | null; error?: Error }>((done) => {
    child.once('exit', (code) => done({ code }))
    child.once('error', (error) => done({ code: null, error }))
  })
  const pid = child.pid
  if (pid === undefined) return end('not_started', null, (await exited).error?.message ?? '')
  groups.add(pid)
  let stopped: ProcessEnd['kind'] | null = null
  const timers: NodeJS.Timeout[] = []
  const stop = (why: ProcessEnd['kind']) => {
    if (stopped) return
    stopped = why
    signalGroup(pid, 'SIGTERM')
    timers.push(setTimeout(() => signalGroup(pid, 'SIGKILL'), spec.killAfterMs ?? TERM_TO_KILL_MS))
  }
  const onAbort = () => stop('aborted')
  spec.signal.addEventListener('abort', onAbort)
  timers.push(setTimeout(() => stop('timeout'), spec.timeoutMs))
  timers.push(setInterval(() => watchSize(spec, () => stop('output_too_large')), SIZE_CHECK_MS))
  const { code } = await exited
  signalGroup(pid, 'SIGKILL') // whatever it forked
  groups.delete(pid)
  spec.signal.removeEventListener('abort', onAbort)
  for (const timer of timers) clearTimeout(timer)
  await tail.closed
  if (stopped) return end(stopped, code, tail.text())
  if (await exceeds(spec)) return end('output_too_large', code, tail.text())
  return end(code === null ? 'signalled' : 'exited', code, tail.text())
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // the group is gone already
  }
}

/** Keeps both ends of stderr. `closed` settles when nobody holds the pipe any more, or soon after the exit. */
function keepEnds(child: ChildProcess): { text: () => string; closed: Promise<void> } {
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  child.stderr?.on('data', (chunk: Buffer) => {
    const missing = STDERR_HEAD - head.length
    head = Buffer.concat([head, chunk.subarray(0, missing)])
    tail = Buffer.concat([tail, chunk.subarray(missing)]).subarray(-STDERR_TAIL)
  })
  child.stderr?.on('error', () => {})
  const closed = new Promise<void>((done) => {
    child.once('close', () => done())
    child.once('error', () => done())
    child.once('exit', () => {
      setTimeout(() => child.stderr?.destroy(), PIPE_CLOSE_MS).unref()
    })
  })
  return { text: () => Buffer.concat([head, tail]).toString('utf8'), closed }
}

function watchSize(spec: ProcessSpec, onTooLarge: () => void): void {
  exceeds(spec).then((tooLarge) => {
    if (tooLarge) onTooLarge()
  })
}

async function exceeds({ outputs, maxOutputBytes }: ProcessSpec): Promise<boolean> {
  const sizes = await Promise.all(
    outputs.map((path) =>
      stat(path).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.some((size) => size > maxOutputBytes)
}

const stripColours = (text: string): string => text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
