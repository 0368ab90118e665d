/** Thrown when a storage service cannot be reached or broke off: the outcome of a write is unknown, a retry is safe. */
export class StorageUnavailable extends Error {
  constructor(service: 'database' | 'bucket' | 'object', cause: unknown) {
    super(`${service} unavailable`, { cause })
    this.name = 'StorageUnavailable'
  }
}

/** The outcome of a call; what it throws comes out as StorageUnavailable. */
export const reaching = <T>(service: 'bucket' | 'object', call: Promise<T>): Promise<T> =>
  call.catch((error: unknown) => {
    throw new StorageUnavailable(service, error)
  })
