/** A package URL taken apart and percent-decoded. Absent parts are null; nothing is normalised by type yet. */
export interface Purl {
  type: string
  namespace: string | null
  name: string
  version: string | null
  qualifiers: Map<string, string>
  subpath: string | null
}

/** Percent-decodes; text that is not valid percent-encoding stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Splits at the last `mark`; without one the right side is null. */
function splitRight(text: string, mark: string): [string, string | null] {
  const at = text.lastIndexOf(mark)
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)]
}

const segments = (path: string): string[] => path.split('/').filter((segment) => segment !== '')

function parseQualifiers(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const pair of text.split('&')) {
    const at = pair.indexOf('=')
    if (at > 0) found.set(pair.slice(0, at).toLowerCase(), decode(pair.slice(at + 1)))
  }
  return found
}

/** Parses a package URL as the purl specification says (subpath, qualifiers, version from the right). null: not one. */
export function parsePurl(text: string): Purl | null {
  if (!/^pkg:/i.test(text)) return null
  const [beforeSubpath, subpath] = splitRight(text.slice(4), '#')
  const [beforeQualifiers, qualifiers] = splitRight(beforeSubpath, '?')
  // an unencoded scope ("npm/@angular/core") is no version: its @ follows a slash
  const at = beforeQualifiers.lastIndexOf('@')
  const versioned = at > 0 && beforeQualifiers[at - 1] !== '/'
  const path = segments(versioned ? beforeQualifiers.slice(0, at) : beforeQualifiers)
  const type = path.shift()?.toLowerCase()
  const name = path.pop()
  if (!type || !name || !/^[a-z][a-z0-9.+-]*$/.test(type)) return null
  return {
    type,
    namespace: path.length > 0 ? path.map(decode).join('/') : null,
    name: decode(name),
    version: versioned ? decode(beforeQualifiers.slice(at + 1)) || null : null,
    qualifiers: parseQualifiers(qualifiers ?? ''),
    subpath: subpath ? segments(subpath).map(decode).join('/') || null : null,
  }
}
