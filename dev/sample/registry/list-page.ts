const MAX_PAGE = 1000

/** One page of a sorted list as the distribution API cuts it by `n` and `last`, and the Link header to the next page. */
export function listPage(
  all: readonly string[],
  path: string,
  query: URLSearchParams,
): { items: string[]; link: string | null } {
  const last = query.get('last')
  const asked = Number(query.get('n') ?? MAX_PAGE)
  const size = Number.isInteger(asked) && asked > 0 ? Math.min(asked, MAX_PAGE) : MAX_PAGE
  const rest = all.toSorted().filter((item) => last === null || item > last)
  const items = rest.slice(0, size)
  if (items.length === rest.length) return { items, link: null }
  const next = new URLSearchParams({ last: items.at(-1)!, n: String(size) })
  return { items, link: `<${path}?${next}>; rel="next"` }
}
