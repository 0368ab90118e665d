/** True for a host in the URL parser's own notation that is an IPv4 or (bracketed) IPv6 address. */
export const isIpLiteral = (host: string): boolean => host.startsWith('[') || ipv4(host) !== null

/**
 * True for addresses that are refused even where private networks are allowed: link-local (cloud metadata),
 * the metadata addresses outside it, "this network", multicast, reserved, and IPv6 forms that embed an IPv4 address.
 */
export function isForbiddenAddress(host: string): boolean {
  const v4 = ipv4(host)
  if (v4 !== null) return forbiddenV4(v4)
  const groups = ipv6(host)
  return groups === null || forbiddenV6(groups)
}

// Alibaba, Oracle Cloud and Azure (wire server) serve instance credentials outside 169.254.0.0/16.
const METADATA_V4 = ['100.100.100.200', '192.0.0.192', '168.63.129.16']

function forbiddenV4(bytes: number[]): boolean {
  const [first, second] = bytes as [number, number, number, number]
  return (
    first === 0 || first >= 224 || (first === 169 && second === 254) || METADATA_V4.includes(bytes.join('.'))
  )
}

function forbiddenV6(groups: number[]): boolean {
  const first = groups[0]!
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0)
  if (zeros(0, 7) && groups[7] === 1) return false // loopback
  return (
    zeros(0, 4) || // unspecified, v4-compatible, v4-mapped and v4-translated
    (first === 0x64 && groups[1] === 0xff9b) || // NAT64
    first === 0x2002 || // 6to4
    (first === 0x2001 && groups[1] === 0) || // Teredo
    (first & 0xffc0) === 0xfe80 || // link-local
    (first & 0xff00) === 0xff00 || // multicast
    (first === 0xfd00 && groups[1] === 0xec2) || // AWS metadata
    (first === 0xfd20 && groups[1] === 0xce) // Google Cloud metadata
  )
}

function ipv4(host: string): number[] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)
  const bytes = match?.slice(1).map(Number)
  return bytes?.every((byte) => byte <= 255) ? bytes : null
}

/** The eight groups of `[…]` in the parser's notation: hexadecimal, at most one `::`. */
function ipv6(host: string): number[] | null {
  if (!/^\[[0-9a-f:]+\]$/.test(host)) return null
  const [head, tail] = host.slice(1, -1).split('::') as [string, string | undefined]
  const groupsOf = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const before = groupsOf(head)
  const after = tail === undefined ? [] : groupsOf(tail)
  const groups = [...before, ...new Array(Math.max(0, 8 - before.length - after.length)).fill(0), ...after]
  return groups.length === 8 ? groups : null
}
