import { PullError } from './pull-error.ts'

export interface ImageReference {
  /** Registry host as written in the reference, lower case, with port. Credentials are sealed for this name. */
  host: string
  /** Where its API answers: another name for Docker Hub only. */
  apiHost: string
  repository: string
  tag: string | null
  digest: string | null
}

const HOST =
  /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::\d{1,5})?$/
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/

/** Parses a complete reference: `host[:port]/repository`, then `:tag`, `@digest` or both. Throws PullError. */
export function parseImageReference(text: string): ImageReference {
  const slash = text.indexOf('/')
  const host = text.slice(0, Math.max(slash, 0)).toLowerCase()
  const [path = '', digest = null, ...more] = text.slice(slash + 1).split('@')
  const colon = path.indexOf(':')
  const repository = colon < 0 ? path : path.slice(0, colon)
  const tag = colon < 0 ? null : path.slice(colon + 1)
  const valid =
    text.length <= 1024 &&
    HOST.test(host) &&
    REPOSITORY.test(repository) &&
    (tag === null || TAG.test(tag)) &&
    (digest === null || DIGEST.test(digest)) &&
    (tag !== null || digest !== null) &&
    more.length === 0
  if (!valid) throw new PullError('image_not_found', 'The image reference is not complete or not valid.')
  const apiHost = host === 'docker.io' || host === 'index.docker.io' ? 'registry-1.docker.io' : host
  return { host, apiHost, repository, tag, digest }
}
