/** What a 401 asks for. */
export type Challenge =
  | { scheme: 'bearer'; realm: string; service: string | null; error: string | null }
  | { scheme: 'basic' }

const MAX_HEADER = 8192
const MAX_REALM = 2048

/** Reads `WWW-Authenticate` (RFC 9110); Bearer is preferred over Basic. Null when neither is understood. */
export function parseChallenge(header: string | null): Challenge | null {
  if (header === null || header.length > MAX_HEADER) return null
  const challenges = challengesOf(header)
  const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'))
  const realm = bearer?.parameters.get('realm')
  if (bearer !== undefined && realm !== undefined && realm !== '' && realm.length <= MAX_REALM) {
    const { parameters } = bearer
    return {
      scheme: 'bearer',
      realm,
      service: parameters.get('service') ?? null,
      error: parameters.get('error') ?? null,
    }
  }
  return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : null
}

/** Tokens are either `name=value` of the challenge before them or the scheme that begins the next. */
function challengesOf(header: string): { scheme: string; parameters: Map<string, string> }[] {
  const found: { scheme: string; parameters: Map<string, string> }[] = []
  const token = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?[\s,]*/y
  while (token.lastIndex < header.length) {
    const match = token.exec(header)
    if (match === null) break
    const [, name, quoted, plain] = match
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain
    if (value === undefined) found.push({ scheme: name!.toLowerCase(), parameters: new Map() })
    else found.at(-1)?.parameters.set(name!.toLowerCase(), value)
  }
  return found
}
