import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { inject } from 'vitest'
import { until } from './until.ts'

const LIMIT_MS = 120_000 // a first start takes 30 seconds on two cores

/** `npm start -- …` as a process group of its own, as a terminal runs it. */
export class NpmStart {
  output = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(...args: string[]) {
    const { root } = inject('system')
    this.#child = spawn(process.execPath, [join(root, 'dev/entry.mjs'), 'start', ...args], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (chunk) => {
        this.output += stripVTControlCharacters(String(chunk))
      })
    }
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code)))
  }

  /** The exit code, once it and all that holds its output have ended. */
  async ended(): Promise<number | null> {
    const late = setTimeout(() => this.interrupt(), LIMIT_MS)
    return this.#ended.finally(() => clearTimeout(late))
  }

  /** What a pattern matched in the output, once it does. Rejects when the start ended without printing it. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    const over = this.#ended.then((code) => {
      const match = pattern.exec(this.output)
      if (match) return match
      throw new Error(`it ended with ${code} and never printed ${pattern}:\n${this.output}`)
    })
    over.catch(() => {})
    return Promise.race([until(() => pattern.exec(this.output), LIMIT_MS), over])
  }

  /** Ctrl-C: SIGINT to the whole group. Nothing where it has ended. */
  interrupt(): void {
    try {
      process.kill(-this.#child.pid!, 'SIGINT')
    } catch {
      // the group has ended
    }
  }
}

/** The rows of the findings table that a start printed, column by column. */
export function findingsTable(output: string): string[][] {
  const lines = output.split('\n')
  const header = lines.findIndex((line) => line.startsWith('SEVERITY'))
  const starts = [...lines[header]!.matchAll(/\S+/g)].map(({ index }) => index)
  const rows = lines.slice(header + 1, lines.indexOf('', header))
  return rows
    .filter((line) => !line.startsWith('… and'))
    .map((line) => starts.map((from, column) => line.slice(from, starts[column + 1]).trim()))
}
