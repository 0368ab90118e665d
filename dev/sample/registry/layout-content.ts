import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface ServedRepository {
  layoutDir: string
  /** Tag to digest of a manifest or an index in the layout. */
  tags: Readonly<Record<string, string>>
}

interface ServedBlob {
  digest: string
  path: string
  size: number
}

const DIGEST = /^sha256:[0-9a-f]{64}$/
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024 // the distribution specification's limit
const MANIFEST_TYPES: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]

/** A blob of the layout, or null where it has none of that digest. */
export function findBlob(repository: ServedRepository, digest: string): ServedBlob | null {
  if (!DIGEST.test(digest)) return null
  const path = join(repository.layoutDir, 'blobs', 'sha256', digest.slice('sha256:'.length))
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats?.isFile() ? { digest, path, size: stats.size } : null
}

/** The manifest or index that a tag or digest names, with the media type it states itself; null where there is none. */
export function findManifest(
  repository: ServedRepository,
  reference: string,
): { blob: ServedBlob; mediaType: string; content: Buffer } | null {
  const tagged = Object.hasOwn(repository.tags, reference) ? repository.tags[reference] : undefined
  const blob = findBlob(repository, tagged ?? reference)
  if (!blob || blob.size > MAX_MANIFEST_BYTES) return null
  const content = readFileSync(blob.path)
  const mediaType = statedMediaType(content)
  return mediaType ? { blob, mediaType, content } : null
}

function statedMediaType(content: Buffer): string | null {
  if (content[0] !== 0x7b) return null
  try {
    const { mediaType } = JSON.parse(content.toString()) as { mediaType?: unknown }
    return typeof mediaType === 'string' && MANIFEST_TYPES.includes(mediaType) ? mediaType : null
  } catch {
    return null
  }
}
