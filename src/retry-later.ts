/** Thrown by a queue handler whose work may succeed later. Everything else that it throws is retried with backoff. */
export class RetryLater extends Error {
  readonly delaySeconds: number

  constructor(message: string, delaySeconds: number) {
    super(message)
    this.name = 'RetryLater'
    this.delaySeconds = delaySeconds
  }
}
