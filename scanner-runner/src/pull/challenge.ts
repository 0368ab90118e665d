export interface Challenge {
  scheme: 'bearer' | 'basic'
  parameters: Record<string, string>
}

const PARAMETER = /([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g

/** Reads a `WWW-Authenticate` header (RFC 9110): Bearer when it is offered, else Basic, else null. */
export function parseChallenge(header: string | undefined): Challenge | null {
  if (!header || header.length > 8192) return null
  const bearer = /(?:^|,\s*)bearer\s+(.*)$/is.exec(header)
  if (bearer) return { scheme: 'bearer', parameters: parameters(bearer[1] ?? '') }
  return /(?:^|,\s*)basic(?:\s|$)/i.test(header) ? { scheme: 'basic', parameters: {} } : null
}

function parameters(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name = '', quoted, bare] of text.matchAll(PARAMETER))
    found[name.toLowerCase()] ??= quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
  return found
}
