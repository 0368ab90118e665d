import { isForbiddenAddress, isIpLiteral } from './ip-literal.ts'

/** What a caller may reach. Both are off unless the deployment (networks) or the registry's row (http) says so. */
export interface HostPolicy {
  allowPrivateNetworks: boolean
  allowHttp: boolean
}

export type GuardRule =
  | 'too_long'
  | 'characters'
  | 'malformed'
  | 'scheme'
  | 'http_not_allowed'
  | 'userinfo'
  | 'port'
  | 'host_notation'
  | 'ip_literal'
  | 'forbidden_address'
  | 'metadata_service'
  | 'internal_name'

export type GuardVerdict = { ok: true; url: URL } | { ok: false; rule: GuardRule; message: string }

/** One sentence for each rule: what is wrong with the address, never what is behind it. */
export const GUARD_SENTENCES: Record<GuardRule, string> = {
  too_long: 'The address is too long.',
  characters: 'The address contains spaces, control characters, backslashes or other than ASCII characters.',
  malformed: 'The address is not a URL.',
  scheme: 'The address must begin with https://.',
  http_not_allowed: 'Plain http is allowed only for a registry that is marked insecure.',
  userinfo: 'The address must not contain a user name or password.',
  port: 'The port must be 80, 443 or between 1024 and 65535.',
  host_notation: 'The host is not written in its plain form.',
  ip_literal: 'The host must be a name, not an IP address.',
  forbidden_address: 'The host is an address that no registry may have.',
  metadata_service: 'The host is a cloud metadata service.',
  internal_name: 'The host is a name of a private network.',
}

const MAX_URL_LENGTH = 4096 // signed blob addresses of object stores stay below 2,500
const MAX_HOST_LENGTH = 253 // DNS
const FIRST_UNPRIVILEGED_PORT = 1024 // below it live mail, ssh and other services that are no registries

/** Refused even where private networks are allowed: they hand out the machine's own credentials. */
const METADATA_NAMES = [
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
  'metadata.tencentyun.com',
  'metadata.platformequinix.com',
  'metadata.packet.net',
  'metadata.azure.internal',
  'rancher-metadata',
]

/** Zones that exist only inside networks (RFC 6761, 6762, 8375, ICANN collision list, orchestrators). */
const INTERNAL_ZONES = [
  'localhost',
  'local',
  'internal',
  'home.arpa',
  'arpa',
  'localdomain',
  'lan',
  'home',
  'corp',
  'mail',
  'intranet',
  'intra',
  'private',
  'test',
  'invalid',
  'svc',
  'consul',
  'onion',
]

/** Public zones that answer with whatever address their name spells, or always with loopback. */
const REBINDING_ZONES = [
  'nip.io',
  'sslip.io',
  'xip.io',
  'localtest.me',
  'lvh.me',
  'vcap.me',
  'lacolhost.com',
  'traefik.me',
  'yoogle.com',
  'rbndr.us',
  '1u.ms',
]

const refuse = (rule: GuardRule): GuardVerdict => ({ ok: false, rule, message: GUARD_SENTENCES[rule] })

/**
 * Decides whether the Worker may call this address. The host must already be written as the URL parser would
 * write it, so that no two readers of the text see two hosts. Names that resolve to private addresses are held
 * off by the platform (`global_fetch_strictly_public`), not here.
 */
export function guardUrl(input: string, policy: HostPolicy): GuardVerdict {
  if (input.length > MAX_URL_LENGTH) return refuse('too_long')
  if (/[^\x21-\x7e]|\\/.test(input)) return refuse('characters')
  const written = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(input)
  const scheme = written?.[1]?.toLowerCase()
  const authority = written?.[2]
  if (authority === undefined) return refuse(/^[a-z][a-z0-9+.-]*:/i.test(input) ? 'scheme' : 'malformed')
  if (scheme !== 'https' && scheme !== 'http') return refuse('scheme')
  if (scheme === 'http' && !policy.allowHttp) return refuse('http_not_allowed')
  if (authority.includes('@')) return refuse('userinfo')
  const url = URL.parse(input)
  if (url === null) return refuse('malformed')
  if (url.username !== '' || url.password !== '') return refuse('userinfo')
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(authority)
  if (parts === null || parts[1]!.toLowerCase() !== url.hostname) return refuse('host_notation')
  if (!portAllowed(parts[2])) return refuse('port')
  const rule = hostRule(url.hostname, policy.allowPrivateNetworks)
  return rule === null ? { ok: true, url } : refuse(rule)
}

/** The same decision for a `host` or `host:port` as image references carry it. */
export function guardAuthority(authority: string, policy: HostPolicy): GuardVerdict {
  if (/[/?#]/.test(authority)) return refuse('host_notation')
  return guardUrl(`https://${authority}/`, policy)
}

function portAllowed(port: string | undefined): boolean {
  if (port === undefined) return true
  const number = Number(port)
  return number === 80 || number === 443 || (number >= FIRST_UNPRIVILEGED_PORT && number <= 65535)
}

function hostRule(host: string, allowPrivateNetworks: boolean): GuardRule | null {
  if (isIpLiteral(host)) {
    if (isForbiddenAddress(host)) return 'forbidden_address'
    return allowPrivateNetworks ? null : 'ip_literal'
  }
  if (host.endsWith('.') || host.length > MAX_HOST_LENGTH) return 'host_notation'
  const labels = host.split('.')
  if (!labels.every((label) => /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/.test(label))) return 'host_notation'
  if (METADATA_NAMES.includes(host)) return 'metadata_service'
  if (inZone(host, REBINDING_ZONES)) return 'internal_name'
  if (allowPrivateNetworks) return null
  return labels.length < 2 || inZone(host, INTERNAL_ZONES) ? 'internal_name' : null
}

const inZone = (host: string, zones: readonly string[]): boolean =>
  zones.some((zone) => host === zone || host.endsWith(`.${zone}`))
