import type { ResolvedReference } from '../../inventory/artifacts/index.ts'
import { parseReference } from '../../inventory/images/index.ts'

interface AskedImage {
  image: string
  registry_id: string
  host: string
  repository: string
  tag: string | null
}

/** What was found under a reference; the digest is null where nobody knows it. */
export interface FoundManifest {
  indexDigest: string | null
  digest: string | null
  platform: string
}

/** Where a scan's manifest goes. An image that was asked for by digest moves no tag, whatever tag stands beside it. */
export function resolvedReference(org: number, asked: AskedImage, found: FoundManifest): ResolvedReference {
  const reference = parseReference(asked.image)
  return {
    org,
    registryId: asked.registry_id,
    host: asked.host,
    repository: asked.repository,
    tag: reference.ok && reference.digest === null ? asked.tag : null,
    versionDigest: found.indexDigest ?? found.digest,
    digest: found.digest,
    platform: found.platform,
  }
}
