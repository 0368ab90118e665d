import type { Total } from './pages.ts'

/** A value of an order's column. Never null: the columns of an order hold no NULL. */
export type Key = string | number

/** Where a page continues: the neighbour's values in the order's columns, and what was counted at the start. */
export interface Cursor {
  keys: Key[]
  backwards: boolean
  total: Total
}

const MAX_CURSOR_CHARS = 4096 // an image name of 1,000 characters, twice encoded, fits
const MAX_KEYS = 8

/** Base64url of JSON. `print` names the exact query that the cursor continues. */
export function encodeCursor(cursor: Cursor, print: string): string {
  const { total, totalIsEstimate } = cursor.total
  const wire = [print, cursor.backwards ? 1 : 0, total, totalIsEstimate ? 1 : 0, ...cursor.keys]
  const bytes = new TextEncoder().encode(JSON.stringify(wire))
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** The cursor, or null when it is malformed or continues another query than `print` names. */
export function decodeCursor(text: string, print: string): Cursor | null {
  const wire = parse(text)
  if (!Array.isArray(wire)) return null
  const [given, backwards, total, estimate, ...keys] = wire as unknown[]
  const isCount = typeof total === 'number' && Number.isSafeInteger(total) && total >= 0
  if (given !== print || !isFlag(backwards) || !isFlag(estimate) || !isCount) return null
  if (keys.length === 0 || keys.length > MAX_KEYS || !keys.every(isKey)) return null
  return {
    keys,
    backwards: backwards === 1,
    total: estimate === 1 ? { total, totalIsEstimate: true } : { total },
  }
}

/** A short name of a query's parts (FNV-1a). It catches mistakes; it keeps no secret. */
export function fingerprint(parts: readonly unknown[]): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(JSON.stringify(parts))) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return hash.toString(36)
}

const isFlag = (value: unknown): value is 0 | 1 => value === 0 || value === 1
const isKey = (value: unknown): value is Key => typeof value === 'string' || typeof value === 'number'

function parse(text: string): unknown {
  if (text.length > MAX_CURSOR_CHARS || !/^[A-Za-z0-9_-]+$/.test(text)) return null
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0))
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch {
    return null
  }
}
