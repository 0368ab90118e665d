import { tagPasses } from '../tag-glob.ts'

/** A tag as its row has it. */
export interface KnownTag {
  id: string
  name: string
  digest: string | null
  artifact: number | null
  movedAt: number
}

export interface TagFilter {
  include: string | null
  exclude: string | null
}

export interface TagChanges {
  added: string[]
  removed: KnownTag[]
  /** Tags whose digest is worth asking for, the most interesting first. */
  toAsk: string[]
}

/** By number where there are numbers: v2 before v10. */
export const byVersion = (a: string, b: string): number =>
  a.localeCompare(b, 'en', { numeric: true }) || (a < b ? -1 : 1)

/**
 * What reading a repository's tags changes. An excluded tag is never added, and goes unless it was scanned; a tag
 * that the registry no longer lists goes, except when the list was not read to its end. Digests are asked for
 * `latest` first, then new and unresolved tags from the highest version down, then those that moved last.
 */
export function tagChanges(
  listed: readonly string[],
  complete: boolean,
  known: readonly KnownTag[],
  filter: TagFilter,
  limit: number,
): TagChanges {
  const there = new Set(listed)
  const knownNames = new Set(known.map(({ name }) => name))
  const passes = (name: string) => tagPasses(name, filter.include, filter.exclude)
  const added = listed.filter((name) => !knownNames.has(name) && passes(name))
  const removed = known.filter(({ name, artifact }) =>
    there.has(name) ? !passes(name) && artifact === null : complete,
  )
  const gone = new Set(removed.map(({ name }) => name))
  const kept = known.filter(({ name }) => !gone.has(name))
  const unresolved = kept.filter(({ digest }) => digest === null).map(({ name }) => name)
  const resolved = kept.filter(({ digest }) => digest !== null).sort((a, b) => b.movedAt - a.movedAt)
  const ordered = [
    ...[...added, ...unresolved].sort((a, b) => byVersion(b, a)),
    ...resolved.map(({ name }) => name),
  ]
  const latest = ordered.includes('latest') ? ['latest'] : []
  return { added, removed, toAsk: [...new Set([...latest, ...ordered])].slice(0, limit) }
}

/** The tag that stands for an image: the one called latest, else the one that moved last, else the highest. */
export function latestOf(tags: readonly { name: string; movedAt: number }[]): string | null {
  const named = tags.find(({ name }) => name === 'latest')
  const last = [...tags].sort((a, b) => b.movedAt - a.movedAt || byVersion(b.name, a.name))[0]
  return (named ?? last)?.name ?? null
}
