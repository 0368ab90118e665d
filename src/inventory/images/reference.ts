/**
 * Docker's reference grammar (distribution/reference), strict: what it accepts holds no character that a shell,
 * a path or a URL could read as its own.
 */
export interface ImageReference {
  /** Lower case; Docker Hub under all its names is `docker.io`. */
  host: string
  port: number | null
  repository: string
  tag: string | null
  digest: string | null
  /** `host[:port]/repository[:tag][@digest]`; parsing it gives the same reference. */
  canonical: string
}

export type ReferenceResult = ({ ok: true } & ImageReference) | { ok: false; message: string }

const MAX_REFERENCE_LENGTH = 720 // host 253 + port 6 + repository 255 + tag 129 + digest 72, and the slash
const MAX_REPOSITORY_LENGTH = 255 // the registries' own limit
const MAX_HOST_LENGTH = 253 // DNS

const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])$/
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/
const DOCKER_HUB = ['docker.io', 'index.docker.io', 'registry-1.docker.io']

export const isRepositoryName = (text: string): boolean =>
  text.length <= MAX_REPOSITORY_LENGTH && REPOSITORY.test(text)
export const isTagName = (text: string): boolean => TAG.test(text)
export const isDigest = (text: string): boolean => DIGEST.test(text)

/** `docker.io` for every name of Docker Hub, otherwise the host in lower case. */
export function canonicalHost(host: string): string {
  const lower = host.toLowerCase()
  return DOCKER_HUB.includes(lower) ? 'docker.io' : lower
}

/** `nginx` is `docker.io/library/nginx:latest`; a reference by digest gets no tag added. */
export function parseReference(input: string): ReferenceResult {
  if (input.length === 0) return no('The image is empty.')
  if (input.length > MAX_REFERENCE_LENGTH) return no('The image is too long.')
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(input)) return no('The image must not have a scheme such as https://.')
  if (!/^[A-Za-z0-9._\-/:@[\]]+$/.test(input)) {
    return no('The image contains a character that image references do not have.')
  }
  const [named, digest, surplus] = input.split('@') as [string, string | undefined, string | undefined]
  if (surplus !== undefined) return no('The image has more than one digest.')
  if (digest !== undefined && !DIGEST.test(digest)) {
    return no('The digest must be sha256: and 64 hexadecimal digits in lower case.')
  }
  const { authority, rest } = splitHost(named)
  const colon = rest.indexOf(':')
  const path = colon === -1 ? rest : rest.slice(0, colon)
  const tag = colon === -1 ? null : rest.slice(colon + 1)
  if (tag !== null && !TAG.test(tag)) return no('The tag must be 1 to 128 letters, digits, _, . or -.')
  const place = parseAuthority(authority)
  if (place === null) return no('The registry host or its port is not valid.')
  return assemble(place, path, tag, digest ?? null)
}

const no = (message: string): ReferenceResult => ({ ok: false, message })

/** The first component is a host when it has a dot, a colon, a capital letter, or is `localhost`. */
function splitHost(named: string): { authority: string; rest: string } {
  const slash = named.indexOf('/')
  const first = slash === -1 ? '' : named.slice(0, slash)
  const isHost = /[.:[A-Z]/.test(first) || first === 'localhost'
  return isHost ? { authority: first, rest: named.slice(slash + 1) } : { authority: 'docker.io', rest: named }
}

function assemble(
  place: { host: string; port: number | null },
  path: string,
  tag: string | null,
  digest: string | null,
): ReferenceResult {
  if (path !== path.toLowerCase()) return no('The repository must be in lower case.')
  if (/^[0-9a-f]{64}$/.test(path)) return no('The repository must not look like an image id.')
  const repository = place.host === 'docker.io' && !path.includes('/') ? `library/${path}` : path
  if (repository.length > MAX_REPOSITORY_LENGTH) return no('The repository is longer than 255 characters.')
  if (!REPOSITORY.test(path)) return no('The repository is not a valid name.')
  const shownTag = tag ?? (digest === null ? 'latest' : null)
  const canonical = [
    formatAuthority(place.host, place.port),
    `/${repository}`,
    shownTag === null ? '' : `:${shownTag}`,
    digest === null ? '' : `@${digest}`,
  ].join('')
  return { ok: true, ...place, repository, tag: shownTag, digest, canonical }
}

export const formatAuthority = (host: string, port: number | null): string =>
  port === null ? host : `${host}:${port}`

/** `host[:port]`, IPv6 in brackets; null when it is not one. */
export function parseAuthority(authority: string): { host: string; port: number | null } | null {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority)
  const host = canonicalHost(match?.[1] ?? '')
  if (match === null || host.length > MAX_HOST_LENGTH || !HOST.test(host)) return null
  const port = match[2] === undefined ? null : Number(match[2])
  if (port !== null && (port < 1 || port > 65535)) return null
  return { host, port }
}
