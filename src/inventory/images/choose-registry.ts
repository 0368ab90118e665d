import { type ImageReference, parseAuthority } from './reference.ts'

export interface RegistryPlace {
  id: string
  /** `host[:port]` as registries are stored. */
  host: string
  /** Leading repository path the registry is limited to, without slashes at its ends; empty for all. */
  pathPrefix: string
}

export type RegistryChoice<T extends RegistryPlace> =
  | { kind: 'one'; registry: T }
  | { kind: 'tie'; registries: T[] }
  | { kind: 'none' }

const HTTPS_PORT = 443 // written or left out, it is the same registry

/**
 * The registry an image belongs to: same host and port, and the longest path prefix of the repository.
 * Several with the same prefix are a tie that the caller settles; nothing is guessed.
 */
export function chooseRegistry<T extends RegistryPlace>(
  reference: Pick<ImageReference, 'host' | 'port' | 'repository'>,
  registries: readonly T[],
): RegistryChoice<T> {
  const wanted = placeKey(reference.host, reference.port)
  const holding = registries.filter((registry) => {
    const place = parseAuthority(registry.host)
    return (
      place !== null &&
      placeKey(place.host, place.port) === wanted &&
      holds(registry.pathPrefix, reference.repository)
    )
  })
  const longest = Math.max(-1, ...holding.map((registry) => registry.pathPrefix.length))
  const best = holding.filter((registry) => registry.pathPrefix.length === longest)
  if (best.length === 0) return { kind: 'none' }
  return best.length === 1 ? { kind: 'one', registry: best[0]! } : { kind: 'tie', registries: best }
}

const placeKey = (host: string, port: number | null): string => `${host}:${port ?? HTTPS_PORT}`

const holds = (prefix: string, repository: string): boolean =>
  prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`)
