import { createHash } from 'node:crypto'
import type { ImageReference } from './image-reference.ts'
import { INDEX_TYPES, MANIFEST_TYPES, type Manifest, parseIndex, parseManifest } from './manifest.ts'
import { selectPlatform } from './platform.ts'
import { PullError } from './pull-error.ts'
import type { RegistrySession } from './registry-session.ts'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024 // the distribution specification's bound
const ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES]

export interface ResolvedImage {
  indexDigest: string | null
  digest: string
  mediaType: string
  bytes: Buffer
  manifest: Manifest
}

export interface Wanted {
  reference: ImageReference
  /** Manifest or index to take instead of what the reference names; null to follow the reference. */
  digest: string | null
  indexDigest: string | null
  platform: string
}

/** Finds the one manifest to scan: by digest when given, else by tag; an index is followed to the platform. */
export async function resolveImage(registry: RegistrySession, wanted: Wanted): Promise<ResolvedImage> {
  const { reference } = wanted
  const pinned = wanted.digest ?? reference.digest
  const first = await fetchManifest(registry, pinned ?? reference.tag ?? 'latest', pinned)
  if (!isIndex(first.mediaType, first.value)) return single(first, wanted.indexDigest)
  const chosen = selectPlatform(parseIndex(first.value), wanted.platform)
  if (!chosen) throw new PullError('platform_not_found', `Asked for ${wanted.platform}.`)
  const second = await fetchManifest(registry, chosen.digest, chosen.digest)
  if (isIndex(second.mediaType, second.value))
    throw new PullError('image_unsupported', 'Its index names another index.')
  return single(second, first.digest)
}

interface Fetched {
  digest: string
  mediaType: string
  bytes: Buffer
  value: unknown
}

const single = ({ digest, mediaType, bytes, value }: Fetched, indexDigest: string | null): ResolvedImage => ({
  indexDigest,
  digest,
  mediaType,
  bytes,
  manifest: parseManifest(value),
})

const isIndex = (mediaType: string, value: unknown): boolean =>
  (INDEX_TYPES as readonly string[]).includes(mediaType) ||
  Array.isArray((value as { manifests?: unknown }).manifests)

async function fetchManifest(
  registry: RegistrySession,
  name: string,
  expected: string | null,
): Promise<Fetched> {
  const { bytes, contentType } = await registry.read(`manifests/${name}`, ACCEPT, MAX_MANIFEST_BYTES)
  if (!bytes) throw new PullError('image_unsupported', 'Its manifest is larger than 4 MiB.')
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const value = parseObject(bytes)
  if (expected !== null && digest !== expected)
    throw new PullError('image_corrupt', `The manifest ${expected} does not match its digest.`)
  const claimed = (value as { mediaType?: unknown }).mediaType
  const mediaType = typeof claimed === 'string' ? claimed : contentType
  if (!(ACCEPT as string[]).includes(mediaType))
    throw new PullError('image_unsupported', `Its manifest has the type ${mediaType.slice(0, 100)}.`)
  return { digest, mediaType, bytes, value }
}

function parseObject(bytes: Buffer): object {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // HTML of a login page or a proxy; the sentence below says so without repeating it
  }
  throw new PullError('registry_invalid_reply', 'Its manifest is not JSON.')
}
