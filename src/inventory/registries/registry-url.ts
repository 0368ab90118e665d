import { guardUrl } from '../../net/host-guard.ts'
import { canonicalHost, isRepositoryName } from '../images/index.ts'

export interface RegistryAddress {
  /** Where the v2 protocol is spoken: scheme, host and port, no path. */
  baseUrl: string
  /** `host[:port]` as image references name it; the scheme's own port is left out. */
  host: string
  /** Leading repository path, `` for the whole registry. */
  pathPrefix: string
}

export type RegistryAddressResult = ({ ok: true } & RegistryAddress) | { ok: false; message: string }

export interface RegistryAddressRules {
  insecure: boolean
  scanMethod: 'cloud' | 'sensor'
  allowPrivateNetworks: boolean
}

const DOCKER_HUB_API = 'https://registry-1.docker.io' // docker.io itself is a web site

/**
 * Reads the `url` that a person gives for a registry: `host[:port][/prefix]`, with or without a scheme. Without one
 * it is https, or http where insecure. A sensor's registry may be on a private network, for only the sensor calls it.
 */
export function parseRegistryUrl(input: string, rules: RegistryAddressRules): RegistryAddressResult {
  const written = input.includes('://') ? input : `${rules.insecure ? 'http' : 'https'}://${input}`
  const verdict = guardUrl(written, {
    allowHttp: rules.insecure,
    allowPrivateNetworks: rules.allowPrivateNetworks || rules.scanMethod === 'sensor',
  })
  if (!verdict.ok) return { ok: false, message: verdict.message }
  const { url } = verdict
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(written)) {
    return { ok: false, message: 'The address must not have a query or a fragment.' }
  }
  if (rules.insecure && url.protocol === 'https:' && rules.scanMethod === 'cloud') {
    const message =
      'Certificates are always verified here. Use http://, a registry with a valid certificate, or a sensor.'
    return { ok: false, message }
  }
  // As it was written: the parser would have resolved dot segments before they could be refused.
  const slash = written.indexOf('/', written.indexOf('://') + 3)
  const path = slash === -1 ? '' : written.slice(slash)
  const pathPrefix = path.replace(/^\/+|\/+$/g, '').replace(/^v2(?:\/|$)/, '')
  if (pathPrefix !== '' && !isRepositoryName(pathPrefix)) {
    return { ok: false, message: 'The path after the host is not the beginning of a repository name.' }
  }
  const host = canonicalHost(url.host)
  return { ok: true, baseUrl: host === 'docker.io' ? DOCKER_HUB_API : url.origin, host, pathPrefix }
}
