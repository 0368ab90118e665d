import { type LookupAddress, type LookupOptions, lookup as resolve } from 'node:dns'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP } from 'node:net'
import { USER_AGENT } from '../version.ts'
import { addressRefusal } from './address-guard.ts'

const IDLE_MS = 30_000 // a connection that moves no byte for this long is broken
const MAX_SOCKETS = 6

export interface HttpPolicy {
  allowPrivateNetworks: boolean
  /** Plain http is allowed and certificates are not verified, for the connections of this session alone. */
  insecure: boolean
  idleMs?: number
}

export interface HttpSession {
  /** One GET without following redirects; resolves at the reply's head. Rejects on network errors and idle time. */
  get(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<IncomingMessage>
  close(): void
}

/** The address, scheme or host is not one that the runner connects to. */
class AddressRefused extends Error {
  override name = 'AddressRefused'
  readonly code = 'HG_ADDRESS_REFUSED'
}

/**
 * Outgoing HTTP to registries. Every connection goes to an address that passed the guard after DNS resolution
 * (the resolved address is the one connected to), also after redirects, as each request is judged anew.
 */
export function openHttpSession(policy: HttpPolicy): HttpSession {
  const shared = {
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    lookup: guardedLookup(policy.allowPrivateNetworks),
  }
  const plain = new http.Agent(shared)
  const secure = new https.Agent({ ...shared, rejectUnauthorized: !policy.insecure })
  const idleMs = policy.idleMs ?? IDLE_MS
  return {
    get(url, headers, signal) {
      const refusal = urlRefusal(url, policy)
      if (refusal) return Promise.reject(new AddressRefused(refusal))
      const tls = url.protocol === 'https:'
      return new Promise((done, fail) => {
        const request = (tls ? https : http).request(url, {
          agent: tls ? secure : plain,
          headers: { 'user-agent': USER_AGENT, 'accept-encoding': 'identity', ...headers },
          signal,
        })
        request.setTimeout(idleMs, () => request.destroy(new Error(`no data for ${idleMs / 1000} s`)))
        request.on('response', done)
        request.on('error', fail)
        request.end()
      })
    },
    close() {
      plain.destroy()
      secure.destroy()
    },
  }
}

function urlRefusal(url: URL, policy: HttpPolicy): string | null {
  if (url.protocol === 'http:' && !policy.insecure) return 'plain http is not allowed for this registry'
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'only https is allowed'
  if (url.username !== '' || url.password !== '') return 'an address with user information is not allowed'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) === 0) return null
  const refusal = addressRefusal(host, policy.allowPrivateNetworks)
  return refusal === null ? null : refusalSentence(host, refusal)
}

const refusalSentence = (host: string, refusal: string) =>
  `${host} is ${refusal}; HG_ALLOW_PRIVATE_NETWORKS decides about private networks`

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void

/** DNS as `net.connect` wants it, which hands out only addresses that pass the guard. */
function guardedLookup(allowPrivate: boolean) {
  return (hostname: string, options: LookupOptions, callback: LookupCallback): void => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const allowed = addresses.filter(({ address }) => addressRefusal(address, allowPrivate) === null)
      const first = allowed[0]
      if (!first) {
        const refusal = addressRefusal(addresses[0]?.address ?? '', allowPrivate) ?? 'unknown'
        return callback(new AddressRefused(refusalSentence(hostname, refusal)), [])
      }
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}
