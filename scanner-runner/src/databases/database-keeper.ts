import type { Log } from '../log.ts'

const UPDATE_INTERVAL_MS = 6 * 3_600_000 // trivy's database is rebuilt every six hours, grype's once a day
const RETRY_INTERVAL_MS = 15 * 60_000 // while a database could not be fetched

export interface DatabaseKeeper {
  /** An update should run before the next job is taken. */
  due(): boolean
  update(signal: AbortSignal): Promise<void>
}

/** Decides when databases are updated: once at start and then rarely, between jobs and never for one. */
export function keepDatabases(
  update: (signal: AbortSignal) => Promise<string[]>,
  log: Log,
  now: () => number = Date.now,
): DatabaseKeeper {
  let dueAt = Number.NEGATIVE_INFINITY
  let failing = ''
  return {
    due: () => now() >= dueAt,
    async update(signal) {
      const failed = (await update(signal)).join(', ')
      dueAt = now() + (failed === '' ? UPDATE_INTERVAL_MS : RETRY_INTERVAL_MS)
      if (failed !== failing && failed !== '') log.warn('databases_not_updated', { databases: failed })
      if (failed !== failing && failed === '') log.info('databases_updated')
      failing = failed
    },
  }
}

/** For samples, which are what they are. */
export const nothingToKeep: DatabaseKeeper = { due: () => false, update: async () => {} }
