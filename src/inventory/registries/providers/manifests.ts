import { z } from 'zod'
import { isDigest } from '../../images/index.ts'
import { platformText } from './platform.ts'

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const IMAGE_CONFIG_TYPES = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]
export const MANIFEST_ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ')

const ATTESTATION = 'vnd.docker.reference.type' // buildkit's provenance and SBOM manifests

const PlatformMember = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
})

const Descriptor = z.looseObject({
  mediaType: z.string().optional(),
  digest: z.string().refine(isDigest),
  platform: PlatformMember.nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
})

/** An index or a manifest; both in one, because the media type is not always said. */
export const ManifestDocument = z.looseObject({
  schemaVersion: z.number(),
  mediaType: z.string().optional(),
  manifests: z.array(Descriptor).max(1000).optional(),
  config: Descriptor.optional(),
})
export type ManifestDocument = z.infer<typeof ManifestDocument>

/** The part of an image's configuration that says where it runs. */
export const ImageConfig = PlatformMember

export type ManifestKind =
  | { kind: 'index'; images: { digest: string; platform: string }[] }
  | { kind: 'manifest'; config: { digest: string } }
  | { kind: 'unsupported'; message: string }

/** What a document is: an index with the images it names, or one image's manifest. */
export function classifyManifest(document: ManifestDocument): ManifestKind {
  if (document.schemaVersion !== 2) {
    return { kind: 'unsupported', message: 'Its manifest has the old schema 1.' }
  }
  if (document.manifests !== undefined) return { kind: 'index', images: imagesOf(document.manifests) }
  const { config } = document
  if (config === undefined) return { kind: 'unsupported', message: 'Its manifest names no configuration.' }
  if (config.mediaType !== undefined && !IMAGE_CONFIG_TYPES.includes(config.mediaType)) {
    return { kind: 'unsupported', message: 'It is an artifact and not a container image.' }
  }
  return { kind: 'manifest', config }
}

/** Attestations, nested indexes and entries without a known platform are not images to scan. */
function imagesOf(entries: z.infer<typeof Descriptor>[]): { digest: string; platform: string }[] {
  const images: { digest: string; platform: string }[] = []
  for (const { digest, mediaType, platform, annotations } of entries) {
    if (annotations?.[ATTESTATION] !== undefined || !platform) continue
    if (mediaType !== undefined && !MANIFEST_TYPES.includes(mediaType)) continue
    const text = platformText(platform)
    if (text !== null) images.push({ digest, platform: text })
  }
  return images
}
