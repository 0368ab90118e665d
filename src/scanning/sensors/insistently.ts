import { StorageUnavailable } from '../../db/storage-unavailable.ts'

const ATTEMPTS = 3
const PAUSE = 200 // ms at most before the second attempt, twice as long before the third

/**
 * Asks storage that did not answer again, for clients that lose a result by any refusal. Only for work that may run
 * twice: the outcome of what failed is unknown.
 */
export async function insistently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || attempt === ATTEMPTS) throw error
      await scheduler.wait(Math.random() * PAUSE * attempt)
    }
  }
}
