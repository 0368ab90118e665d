/**
 * The query of the next page from a `Link` header, to be put on the address that was just read.
 * `none` without a next page; `foreign` when the link leaves the registry's host. Only its query is ever used,
 * so a registry behind a proxy that writes another scheme or path still works and none is called.
 */
export type NextLink = { kind: 'next'; query: string } | { kind: 'none' } | { kind: 'foreign' }

const MAX_LINK_HEADER = 8192 // a repository name is at most 255 characters
const MAX_QUERY = 2048

export function nextLink(header: string | null, current: string): NextLink {
  if (header === null || header.length > MAX_LINK_HEADER) return { kind: 'none' }
  for (const [, target, parameters] of header.matchAll(/<([^>]*)>([^<]*)/g)) {
    if (!isNext(parameters ?? '')) continue
    const url = URL.parse(target!, current)
    if (url === null || url.hostname !== new URL(current).hostname) return { kind: 'foreign' }
    const query = url.search.slice(1)
    return isCursor(query) ? { kind: 'next', query } : { kind: 'none' }
  }
  return { kind: 'none' }
}

/** A stored cursor is a query and nothing that could change the address it is put on. */
export const isCursor = (text: string): boolean =>
  text.length > 0 && text.length <= MAX_QUERY && /^[A-Za-z0-9\-._~!$&'()*+,;=:@/?%[\]|{}^`]+$/.test(text)

function isNext(parameters: string): boolean {
  const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters)
  const names = (rel?.[1] ?? rel?.[2] ?? '').toLowerCase().split(/\s+/)
  return names.includes('next')
}
