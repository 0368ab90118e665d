import { newId } from '../../../ids.ts'
import { isTransient, type RegistryError } from '../errors.ts'
import type { RegistryClient } from '../providers/provider.ts'
import { type KnownTag, latestOf, type TagFilter, tagChanges } from './tag-changes.ts'

const TAG_PAGES = 30 // 3,000 tags of a repository; more of them are not read
const MAX_DIGESTS = 40 // asked for in one repository and sync: tags move seldom, scans resolve anyway

export interface KnownImage {
  id: string
  repository: string
  latestTag: string | null
  tags: KnownTag[]
}

interface NewTag {
  id: string
  image: string
  name: string
  digest: string | null
  /** Another tag of the image with the same digest that shows a scanned artifact. */
  sibling: string | null
}

interface MovedTag {
  id: string
  /** The digest that the row had: it changes only while it has it still. */
  old: string | null
  digest: string
  sibling: string | null
}

/** What changes about one image. */
export interface ImageChanges {
  image: KnownImage
  added: NewTag[]
  moved: MovedTag[]
  removed: { id: string; old: string | null }[]
  latestTag: string | null
  empty: boolean
}

export type ReadTags =
  | { kind: 'changes'; changes: ImageChanges; calls: number }
  | { kind: 'unread'; calls: number }
  | { kind: 'failed'; error: RegistryError; calls: number }

/**
 * Reads the tags of one repository and the digests worth knowing. A repository that is gone has no tags; one that
 * cannot be read is `unread` and keeps what is known; an error that concerns the whole registry is `failed`.
 */
export async function readTags(
  client: RegistryClient,
  image: KnownImage,
  filter: TagFilter,
  now: number,
  isLastAttempt: boolean,
): Promise<ReadTags> {
  const listed = await client.listTags(image.repository, { maxPages: TAG_PAGES })
  const gone = !listed.ok && listed.error.kind === 'not_found'
  if (!listed.ok && !gone) {
    const broken = isLastAttempt && listed.error.kind === 'server_error'
    const concernsAll = !broken && (isTransient(listed.error) || CREDENTIALS.includes(listed.error.kind))
    return concernsAll ? { kind: 'failed', error: listed.error, calls: 1 } : { kind: 'unread', calls: 1 }
  }
  const { items, next } = listed.ok ? listed.value : { items: [], next: null }
  const changes = tagChanges(items, next === null, image.tags, filter, MAX_DIGESTS)
  const digests = await askDigests(client, image.repository, changes.toAsk)
  const calls = 1 + Math.ceil(items.length / 100) + changes.toAsk.length
  if ('error' in digests) return { kind: 'failed', error: digests.error, calls }
  return { kind: 'changes', changes: imageChanges(image, changes, digests.found, now), calls }
}

/** An image that the connection does not reach any more loses its tags. */
export const dropTags = (image: KnownImage, now: number): ReadTags => ({
  kind: 'changes',
  changes: imageChanges(image, { added: [], removed: image.tags }, new Map(), now),
  calls: 0,
})

const CREDENTIALS: RegistryError['kind'][] = ['unauthorized', 'credentials_required', 'address_refused']

/** Digest by tag; null for a tag that went meanwhile. What cannot be read otherwise is left out. */
async function askDigests(
  client: RegistryClient,
  repository: string,
  names: readonly string[],
): Promise<{ found: Map<string, string | null> } | { error: RegistryError }> {
  const found = new Map<string, string | null>()
  for (const name of names) {
    const version = await client.headVersion(repository, name)
    if (version.ok) found.set(name, version.value.digest)
    else if (version.error.kind === 'not_found') found.set(name, null)
    else if (isTransient(version.error)) return { error: version.error }
  }
  return { found }
}

function imageChanges(
  image: KnownImage,
  { added, removed }: { added: string[]; removed: KnownTag[] },
  digests: ReadonlyMap<string, string | null>,
  now: number,
): ImageChanges {
  const leaving = new Set(removed.map(({ id }) => id))
  for (const tag of image.tags) if (digests.get(tag.name) === null) leaving.add(tag.id)
  const kept = image.tags.filter(({ id }) => !leaving.has(id))
  const digestOf = (tag: KnownTag) => digests.get(tag.name) ?? tag.digest
  const settled = kept.filter((tag) => tag.artifact !== null && digestOf(tag) === tag.digest)
  const siblingOf = (digest: string | null) =>
    settled.find((tag) => digest !== null && tag.digest === digest)?.id ?? null
  const moved = kept.flatMap((tag): MovedTag[] => {
    const digest = digests.get(tag.name)
    if (!digest || digest === tag.digest) return []
    return [{ id: tag.id, old: tag.digest, digest, sibling: siblingOf(digest) }]
  })
  const fresh = added.filter((name) => digests.get(name) !== null)
  const movedIds = new Set(moved.map(({ id }) => id))
  const after = [
    ...kept.map((tag) => ({ name: tag.name, movedAt: movedIds.has(tag.id) ? now : tag.movedAt })),
    ...fresh.map((name) => ({ name, movedAt: now })),
  ]
  return {
    image,
    added: fresh.map((name) => {
      const digest = digests.get(name) ?? null
      return { id: newId('tag'), image: image.id, name, digest, sibling: siblingOf(digest) }
    }),
    moved,
    removed: image.tags.filter(({ id }) => leaving.has(id)).map(({ id, digest }) => ({ id, old: digest })),
    latestTag: latestOf(after),
    empty: after.length === 0,
  }
}
