import { createHash } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const OCI = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  gzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const

export interface Descriptor {
  mediaType: string
  digest: string
  size: number
  platform?: Platform
  annotations?: Record<string, string>
}

export interface Platform {
  os: 'linux'
  architecture: 'amd64' | 'arm64'
  variant?: string
}

export interface Layer {
  /** What the history says made it. */
  createdBy: string
  descriptor: Descriptor
  /** The digest of the tar under the compression. */
  diffId: string
}

export interface ImageConfig {
  /** ISO 8601 */
  created: string
  config?: { Env?: string[]; Cmd?: string[]; Labels?: Record<string, string> }
}

/** An OCI image layout on disk. Blobs are written at once; `finish` writes `index.json`, which makes it one. */
export class OciLayout {
  readonly dir: string

  /** Replaces whatever is at `dir`. */
  constructor(dir: string) {
    this.dir = dir
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(this.blobsDir, { recursive: true })
  }

  get blobsDir(): string {
    return join(this.dir, 'blobs', 'sha256')
  }

  blob(mediaType: string, content: Uint8Array): Descriptor {
    const digest = sha256(content)
    writeFileSync(join(this.blobsDir, digest.slice('sha256:'.length)), content)
    return { mediaType, digest, size: content.length }
  }

  json(mediaType: string, value: object): Descriptor {
    return this.blob(mediaType, Buffer.from(JSON.stringify(value)))
  }

  /** Writes configuration and manifest of one platform's image and returns the manifest's descriptor. */
  manifest(platform: Platform, image: ImageConfig, layers: readonly Layer[]): Descriptor {
    const config = this.json(OCI.config, {
      created: image.created,
      architecture: platform.architecture,
      os: platform.os,
      ...(platform.variant ? { variant: platform.variant } : {}),
      config: image.config ?? {},
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ createdBy }) => ({ created: image.created, created_by: createdBy })),
    })
    const manifest = this.json(OCI.manifest, {
      schemaVersion: 2,
      mediaType: OCI.manifest,
      config,
      layers: layers.map(({ descriptor }) => descriptor),
    })
    return { ...manifest, platform }
  }

  /** An index over several platforms' manifests. */
  index(manifests: readonly Descriptor[]): Descriptor {
    return this.json(OCI.index, { schemaVersion: 2, mediaType: OCI.index, manifests })
  }

  finish(root: Descriptor, tag: string): void {
    const named = { ...root, annotations: { 'org.opencontainers.image.ref.name': tag } }
    writeFileSync(join(this.dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    const index = { schemaVersion: 2, mediaType: OCI.index, manifests: [named] }
    writeFileSync(join(this.dir, 'index.json'), JSON.stringify(index))
  }
}

export function sha256(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
