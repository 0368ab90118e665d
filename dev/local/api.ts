const TIMEOUT_MS = 30_000

/** A small client of the public API, for the start script and the end-to-end test. */
export class Api {
  readonly url: string
  readonly key: string

  constructor(url: string, key: string) {
    this.url = url
    this.key = key
  }

  get<T = unknown>(path: string): Promise<T> {
    return this.call<T>('GET', path)
  }

  post<T = unknown>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, body)
  }

  put<T = unknown>(path: string, body: unknown): Promise<T> {
    return this.call<T>('PUT', path, body)
  }

  /** Every item of a list, by `links.next`; at most `maxPages` pages. */
  async all<T>(path: string, maxPages = 500): Promise<T[]> {
    const items: T[] = []
    let next: string | undefined = path
    for (let page = 0; next && page < maxPages; page++) {
      const answer: { data: T[]; links: { next?: string } } = await this.get(next)
      items.push(...answer.data)
      next = answer.links.next
    }
    return items
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${this.key}`,
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await answer.text()
    if (!answer.ok)
      throw new ApiError(`${method} ${path} answered ${answer.status}: ${text.slice(0, 500)}`, answer.status)
    return (text ? JSON.parse(text) : undefined) as T
  }
}

export class ApiError extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}
