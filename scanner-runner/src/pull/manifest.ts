import { z } from 'zod'
import { PullError } from './pull-error.ts'

export const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const
const CONFIG_TYPES = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
] as const
const MAX_LAYERS = 500 // the result envelope's bound; builders stop at 127
const MAX_SIZE = 2 ** 50

const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const Platform = z.object({ architecture: z.string(), os: z.string(), variant: z.string().optional() })

export const Descriptor = z.object({
  mediaType: z.string().max(255),
  digest: Digest,
  size: z.int().nonnegative().max(MAX_SIZE),
  platform: Platform.optional(),
  annotations: z.record(z.string(), z.string()).nullish(),
})
export type Descriptor = z.infer<typeof Descriptor>

const Index = z.object({ manifests: z.array(Descriptor).max(1000) })
const Manifest = z.object({ config: Descriptor, layers: z.array(Descriptor).max(MAX_LAYERS) })
export type Manifest = z.infer<typeof Manifest>

const Config = z.object({
  architecture: z.string().max(64),
  os: z.string().max(64),
  variant: z.string().max(64).nullish(),
  rootfs: z.object({ diff_ids: z.array(Digest) }),
  history: z
    .array(z.object({ created_by: z.string().nullish(), empty_layer: z.boolean().nullish() }))
    .nullish(),
})
export type ImageConfig = z.infer<typeof Config>

const parse = <T>(schema: z.ZodType<T>, value: unknown, what: string): T => {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new PullError('image_unsupported', `Its ${what} is not one of an image.`)
}

export const parseIndex = (value: unknown): Descriptor[] => parse(Index, value, 'index').manifests
export const parseConfig = (value: unknown): ImageConfig => parse(Config, value, 'configuration')

/** A single image's manifest; charts, signatures and other artifacts are refused as unsupported. */
export function parseManifest(value: unknown): Manifest {
  const manifest = parse(Manifest, value, 'manifest')
  if (!(CONFIG_TYPES as readonly string[]).includes(manifest.config.mediaType))
    throw new PullError('image_unsupported', 'The manifest is not one of a container image.')
  for (const layer of manifest.layers)
    if (layerCompression(layer.mediaType) === null)
      throw new PullError('image_unsupported', `A layer has the type ${layer.mediaType.slice(0, 100)}.`)
  return manifest
}

/** How a layer's tar is compressed; null for foreign, encrypted and unknown layers. */
export function layerCompression(mediaType: string): 'none' | 'gzip' | 'zstd' | null {
  switch (mediaType) {
    case 'application/vnd.oci.image.layer.v1.tar':
    case 'application/vnd.docker.image.rootfs.diff.tar':
      return 'none'
    case 'application/vnd.oci.image.layer.v1.tar+gzip':
    case 'application/vnd.docker.image.rootfs.diff.tar.gzip':
      return 'gzip'
    case 'application/vnd.oci.image.layer.v1.tar+zstd':
    case 'application/vnd.docker.image.rootfs.diff.tar.zstd':
      return 'zstd'
    default:
      return null
  }
}
