import type { SecretKey } from './envelope.ts'

/** Unwrapped keys of one isolate, bounded in number and age. Keys in it cannot be exported. */
export interface KeyCache {
  get(id: string, now: number): SecretKey | undefined
  set(id: string, key: SecretKey, now: number): void
  clear(): void
}

const TTL_MS = 5 * 60 * 1000 // how long a destroyed key may still open secrets in a running isolate
const MAX_KEYS = 1000 // organizations active in one isolate; about 200 bytes each

/** `now` and `ttlMs` are milliseconds. The key that was put in first leaves first. */
export function createKeyCache({ ttlMs = TTL_MS, maxKeys = MAX_KEYS } = {}): KeyCache {
  const entries = new Map<string, { key: SecretKey; until: number }>()
  return {
    get(id, now) {
      const entry = entries.get(id)
      if (entry === undefined) return undefined
      if (now < entry.until) return entry.key
      entries.delete(id)
      return undefined
    },
    set(id, key, now) {
      entries.delete(id)
      entries.set(id, { key, until: now + ttlMs })
      for (const oldest of entries.keys()) {
        if (entries.size <= maxKeys) break
        entries.delete(oldest)
      }
    },
    clear: () => entries.clear(),
  }
}
