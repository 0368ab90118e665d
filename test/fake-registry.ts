/**
 * Registries that the tests' outgoing calls reach (`test/node/fake-registry`). Modes: `open`; `basic` and `token`
 * take user and pass; `down`, `slow` (never answers), `html`, `limited` (429), `error` (503), `redirect` (to a
 * metadata address); `big` (250 repositories of 3 tags); `nocatalogue`.
 */
export type FakeMode =
  | 'open'
  | 'basic'
  | 'token'
  | 'down'
  | 'slow'
  | 'html'
  | 'limited'
  | 'error'
  | 'redirect'
  | 'big'
  | 'nocatalogue'

/** What a tag points at. Equal seeds are equal images. */
export interface FakeImage {
  seed: string
  /** Default linux/amd64 and linux/arm64. */
  platforms?: string[]
  /** The first platform's manifest itself, without an index. */
  single?: boolean
}

/** Repository to tag to image; a string is the seed of an index for linux/amd64 and linux/arm64. */
export type FakeContent = Record<string, Record<string, string | FakeImage>>

export interface FakeRegistry {
  /** As image references name it. Always plain http: connect it with `insecure: true`. */
  host: string
  url: string
  set(change: { mode?: FakeMode; repositories?: FakeContent }): Promise<void>
  /** What was asked so far, oldest first. */
  requests(): Promise<{ method: string; path: string; authorization: string | null }[]>
}

export const FAKE_CREDENTIALS = { username: 'user', password: 'pass' }

let made = 0

/** A registry of its own: `team/app` with 1.0, 1.1 and latest (as 1.1), `team/worker` with 2.0 (arm64 alone). */
export async function aFakeRegistry(mode: FakeMode, repositories?: FakeContent): Promise<FakeRegistry> {
  const host = `r${Date.now().toString(36)}${made++}.${mode}.registry.test`
  const url = `http://${host}`
  const registry: FakeRegistry = {
    host,
    url,
    set: async (change) => {
      await fetch(`${url}/fake`, { method: 'PUT', body: JSON.stringify(change) })
    },
    requests: async () => {
      const state = (await (await fetch(`${url}/fake`)).json()) as { requests: never[] }
      return state.requests
    },
  }
  if (repositories) await registry.set({ repositories })
  return registry
}
