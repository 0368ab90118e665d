import { spawn } from 'node:child_process'

const KEPT_OUTPUT_BYTES = 64 * 1024 // versions and build information are far smaller
const KEPT_ERROR_CHARS = 2000

interface CommandResult {
  ok: boolean
  stdout: string
  /** The end of what it said on stderr, or why it did not run. */
  problem: string
}

/** Runs a program without a shell, with a deadline, and ends it when `signal` aborts; never rejects. A program that is not there is a failed result. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; cwd?: string; env?: Record<string, string>; signal?: AbortSignal },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs,
      signal: options.signal,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < KEPT_OUTPUT_BYTES) stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-KEPT_ERROR_CHARS)
    })
    child.on('error', (error) => resolve({ ok: false, stdout: '', problem: error.message }))
    child.on('close', (code, signal) => {
      const ended = signal ? `ended by ${signal}` : `exit code ${code}`
      resolve({ ok: code === 0, stdout, problem: stderr.trim().split('\n').at(-1) || ended })
    })
  })
}
