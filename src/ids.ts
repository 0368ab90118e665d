const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz' // Crockford's base 32, lower case

/** The kinds of public ids and their prefixes. */
export const ID_PREFIXES = {
  organization: 'org',
  user: 'usr',
  apiKey: 'key',
  agent: 'agt',
  registry: 'reg',
  image: 'img',
  tag: 'tag',
  scan: 'scn',
  audit: 'ae',
  outbox: 'out',
  request: 'req',
} as const

/** A new opaque id: prefix, underscore, 100 random bits in 20 characters. */
export function newId(kind: keyof typeof ID_PREFIXES): string {
  return idOf(kind, crypto.getRandomValues(new Uint8Array(20)))
}

/** The id that follows from a text, always the same: 100 bits of its SHA-256. */
export async function derivedId(kind: keyof typeof ID_PREFIXES, text: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return idOf(kind, new Uint8Array(hash, 0, 20))
}

const idOf = (kind: keyof typeof ID_PREFIXES, bytes: Uint8Array): string =>
  `${ID_PREFIXES[kind]}_${Array.from(bytes, (byte) => ALPHABET[byte & 31]).join('')}`

const LOW = 36 ** 5

/** The public id of a match. Matches have integer keys, random in 52 bits: printed in halves, which is quicker. */
export function vulnerabilityId(match: number): string {
  const high = Math.floor(match / LOW)
  const low = (match % LOW).toString(36)
  return high === 0 ? `vul_${low}` : `vul_${high.toString(36)}${low.padStart(5, '0')}`
}

/** The match that a public id names, or null when it is not one. */
export function matchOfVulnerabilityId(id: string): number | null {
  const digits = /^vul_([0-9a-z]{1,11})$/.exec(id)?.[1]
  if (!digits) return null
  const match = Number.parseInt(digits, 36)
  return Number.isSafeInteger(match) && match.toString(36) === digits ? match : null
}

/**
 * A job's wire id: shard, organization (base 36) and scan, in the alphabet that sensors accept. A call about a
 * job therefore finds its row, with the organization in the WHERE, in one round trip.
 */
export const jobWireId = (shard: string, org: number, scanId: string): string =>
  `${shard}-${org.toString(36)}-${scanId}`

/** Shard, organization and id of a job's wire id, or null when it is not one. */
export function parseJobWireId(id: string): { shard: string; org: number; jobId: string } | null {
  const parts = /^([0-9a-z]{1,8})-([0-9a-z]{1,10})-(scn_[0-9a-z]{20})$/.exec(id)
  if (!parts) return null
  const org = Number.parseInt(parts[2]!, 36)
  return org.toString(36) === parts[2] ? { shard: parts[1]!, org, jobId: parts[3]! } : null
}
