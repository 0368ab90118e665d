import { vi } from 'vitest'
import type { Json } from './world.ts'

export interface LogLines {
  /** Everything that was said, in order, as it was printed. */
  texts: string[]
  /** The JSON lines, with the console method that each went to. */
  lines(): Json[]
  /** The lines of one kind of event. */
  of(event: string): Json[]
}

const METHODS = ['debug', 'log', 'info', 'warn', 'error'] as const

/** Catches what the Worker logs until `vi.restoreAllMocks()`. */
export function catchLog(): LogLines {
  const said: [string, string][] = []
  for (const method of METHODS)
    vi.spyOn(console, method).mockImplementation(
      (...words) => void said.push([method, words.map(String).join(' ')]),
    )
  const lines = () => said.map(([method, text]) => ({ ...JSON.parse(text), method_: method }) as Json)
  return {
    get texts() {
      return said.map(([, text]) => text)
    },
    lines,
    of: (event) => lines().filter((line) => line.event === event),
  }
}
