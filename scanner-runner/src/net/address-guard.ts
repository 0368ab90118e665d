import { BlockList, isIP } from 'node:net'

// Addresses that answer with a machine's own credentials: refused also where private networks are allowed.
const METADATA: readonly string[] = ['169.254.169.254', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254']

const LINK_LOCAL: readonly [string, number, 'ipv4' | 'ipv6'][] = [
  ['169.254.0.0', 16, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
]

// IANA's special-purpose registries: nothing in them is a registry on the public internet.
const NOT_PUBLIC: readonly [string, number, 'ipv4' | 'ipv6'][] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['240.0.0.0', 4, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['3fff::', 20, 'ipv6'],
  ['5f00::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]

const blockList = (subnets: typeof NOT_PUBLIC, addresses: readonly string[] = []): BlockList => {
  const list = new BlockList()
  for (const [net, prefix, family] of subnets) list.addSubnet(net, prefix, family)
  for (const address of addresses) list.addAddress(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return list
}

const NEVER = blockList(LINK_LOCAL, METADATA)
const PRIVATE = blockList(NOT_PUBLIC)

/**
 * Why the runner does not connect to this IP address, or null when it may. IPv4 addresses inside IPv6
 * (mapped `::ffff:`, NAT64 `64:ff9b::`) are judged as the IPv4 address they reach.
 */
export function addressRefusal(address: string, allowPrivate: boolean): string | null {
  const plain = embeddedIpv4(address) ?? address.replace(/%.*$/, '')
  const family = isIP(plain) === 6 ? 'ipv6' : isIP(plain) === 4 ? 'ipv4' : null
  if (family === null) return 'not an IP address'
  if (NEVER.check(plain, family)) return 'a link-local or metadata address'
  if (!allowPrivate && PRIVATE.check(plain, family)) return 'a private, loopback or reserved address'
  return null
}

function embeddedIpv4(address: string): string | null {
  if (isIP(address) !== 6) return null
  // URL's serialisation settles every way of writing an IPv6 address
  const hex = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1)
  const tail = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})$/.exec(hex)
  if (!tail?.[2]) return null
  const number = parseInt(tail[1] ?? '0', 16) * 65536 + parseInt(tail[2], 16)
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join('.')
}
