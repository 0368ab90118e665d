/** What a handler answers. `body` is printed as JSON; a `Response` passes through for streams. */
export interface Reply {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

export const data = (value: unknown): Reply => ({ status: 200, body: { data: value } })

/** A list as `pages.ts` makes it: already `{ data, meta, links }`. */
export const list = (page: { data: unknown[]; meta: unknown; links: unknown }): Reply => ({
  status: 200,
  body: page,
})

export const created = (value: unknown, location: string): Reply => ({
  status: 201,
  body: { data: value },
  headers: { Location: location },
})

export const accepted = (value: unknown, location: string): Reply => ({
  status: 202,
  body: { data: value },
  headers: { Location: location },
})

/** A body without envelope, where the documentation says so. */
export const bare = (status: number, body: unknown, headers: Record<string, string> = {}): Reply => ({
  status,
  body,
  headers,
})

export const noContent = (): Reply => ({ status: 204 })
