import { stripVTControlCharacters } from 'node:util'

/**
 * A line of wrangler's output without colours, and without the frame that it puts around what the Worker logs as a
 * warning or an error: what is JSON there is JSON here. Null for an empty line.
 */
export function plainLine(line: string): string | null {
  const plain = stripVTControlCharacters(line).replace(/^\S+ \[(?:WARNING|ERROR)\] (?=\{")/, '')
  return plain.trim() === '' ? null : plain
}
