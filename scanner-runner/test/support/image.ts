import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

export interface Blob {
  mediaType: string
  digest: string
  size: number
  bytes: Buffer
}

export const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export const aBlob = (bytes: Buffer, mediaType: string): Blob => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  bytes,
})

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

export interface Image {
  manifest: Blob
  config: Blob
  layers: Blob[]
  blobs: Blob[]
}

export interface ImageOptions {
  architecture?: string
  os?: string
  variant?: string
  /** Unpacked contents; anything stands in for a tar. */
  contents?: Buffer[]
  layerType?: string
  pack?: (content: Buffer) => Buffer
  configType?: string
  manifestType?: string
  /** Changes the configuration before it is written. */
  configure?: (config: Record<string, unknown>) => void
}

const descriptor = ({ mediaType, digest, size }: Blob) => ({ mediaType, digest, size })
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

/** One platform's image: a manifest, a configuration and its layers, as a builder would write them. */
export function anImage(options: ImageOptions = {}): Image {
  const contents = options.contents ?? [Buffer.from('first layer'), Buffer.alloc(300_000, 'second layer ')]
  const pack = options.pack ?? ((content) => gzipSync(content))
  const layers = contents.map((content) => aBlob(pack(content), options.layerType ?? OCI_LAYER))
  const description: Record<string, unknown> = {
    architecture: options.architecture ?? 'amd64',
    os: options.os ?? 'linux',
    ...(options.variant ? { variant: options.variant } : {}),
    rootfs: { type: 'layers', diff_ids: contents.map(digestOf) },
    history: [
      { created_by: 'ENV A=1', empty_layer: true },
      ...contents.map((_, n) => ({ created_by: `RUN step ${n}` })),
    ],
  }
  options.configure?.(description)
  const config = aBlob(json(description), options.configType ?? OCI_CONFIG)
  const mediaType = options.manifestType ?? OCI_MANIFEST
  const manifest = aBlob(
    json({ schemaVersion: 2, mediaType, config: descriptor(config), layers: layers.map(descriptor) }),
    mediaType,
  )
  return { manifest, config, layers, blobs: [config, ...layers] }
}

interface Entry {
  blob: Blob
  platform?: { os: string; architecture: string; variant?: string }
  annotations?: Record<string, string>
}

export const anIndex = (entries: Entry[]): Blob =>
  aBlob(
    json({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: entries.map(({ blob, ...rest }) => ({ ...descriptor(blob), ...rest })),
    }),
    OCI_INDEX,
  )
