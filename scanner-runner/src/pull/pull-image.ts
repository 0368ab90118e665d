import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import type { ResultImage } from '../../../src/scanning/sensors/protocol.ts'
import { eachLimit } from '../each-limit.ts'
import { downloadBlob } from './download-blob.ts'
import { type Descriptor, type ImageConfig, layerCompression, parseConfig } from './manifest.ts'
import { DEFAULT_PLATFORM, isPlatform, platformOfImage } from './platform.ts'
import { asPullError, PullError } from './pull-error.ts'
import { openRegistry, type RegistryAccess, type RegistrySession } from './registry-session.ts'
import { type ResolvedImage, resolveImage, type Wanted } from './resolve-image.ts'

const LAYERS_AT_A_TIME = 3
const MAX_CONFIG_BYTES = 16 * 1024 * 1024

export interface PullRequest extends Omit<RegistryAccess, 'reference'>, Wanted {
  /** Made by the pull: an OCI layout that holds exactly one image. */
  layoutDir: string
  maxImageBytes: number
  maxUnpackedBytes: number
  onProgress: (receivedBytes: number, totalBytes: number) => void
}

export interface PulledImage extends Omit<z.infer<typeof ResultImage>, 'ref' | 'os'> {
  os: string
  architecture: string
}

/**
 * Pulls one platform of an image into an OCI layout: every blob streamed to disk, its size, digest and diff id
 * checked. Rejects with PullError, or with the abort's own error.
 */
export async function pullImage(request: PullRequest): Promise<PulledImage> {
  const stop = new AbortController()
  const access = { ...request, signal: AbortSignal.any([request.signal, stop.signal]) }
  const registry = await openRegistry(access).catch((error) => {
    throw asPullError(error, request.reference.host)
  })
  try {
    const resolved = await resolveImage(registry, request)
    const sizeBytes = resolved.manifest.layers.reduce((sum, layer) => sum + layer.size, 0)
    if (sizeBytes > request.maxImageBytes || resolved.manifest.config.size > MAX_CONFIG_BYTES)
      throw new PullError(
        'image_too_large',
        `Its layers have ${sizeBytes} bytes, ${request.maxImageBytes} are allowed.`,
      )
    await writeLayout(request.layoutDir, resolved)
    const config = await pullConfig(registry, access, resolved)
    const diffIds = await pullLayers(registry, access, resolved, sizeBytes, () => stop.abort())
    return describe(resolved, config, diffIds, sizeBytes, request.platform)
  } catch (error) {
    throw asPullError(error, request.reference.host)
  } finally {
    registry.close()
  }
}

const blobPath = (layoutDir: string, digest: string) =>
  join(layoutDir, 'blobs', 'sha256', digest.slice('sha256:'.length))

async function writeLayout(layoutDir: string, { digest, mediaType, bytes }: ResolvedImage): Promise<void> {
  await mkdir(join(layoutDir, 'blobs', 'sha256'), { recursive: true, mode: 0o700 })
  await writeFile(blobPath(layoutDir, digest), bytes)
  await writeFile(join(layoutDir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length }] }
  await writeFile(join(layoutDir, 'index.json'), JSON.stringify(index))
}

async function pullConfig(
  registry: RegistrySession,
  request: PullRequest,
  { manifest }: ResolvedImage,
): Promise<ImageConfig> {
  const path = blobPath(request.layoutDir, manifest.config.digest)
  const common = { registry, host: request.reference.host, signal: request.signal, onBytes: () => {} }
  await downloadBlob({
    ...common,
    blob: manifest.config,
    path,
    compression: 'none',
    budget: { left: MAX_CONFIG_BYTES },
  })
  const config = parseConfig(parseJson(await readFile(path, 'utf8')))
  if (config.rootfs.diff_ids.length !== manifest.layers.length)
    throw new PullError(
      'image_corrupt',
      'Its configuration names another number of layers than its manifest.',
    )
  const platform = platformOfImage(config, request.platform)
  if (request.platform !== DEFAULT_PLATFORM && !isPlatform(platform, request.platform))
    throw new PullError('platform_not_found', `Asked for ${request.platform}, found ${platform}.`)
  return config
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new PullError('image_unsupported', 'Its configuration is not JSON.')
  }
}

/** Downloads every layer once and returns the diff ids by digest; equal layers share one download. */
async function pullLayers(
  registry: RegistrySession,
  request: PullRequest,
  { manifest }: ResolvedImage,
  totalBytes: number,
  stop: () => void,
): Promise<Map<string, string>> {
  const layers = [...new Map(manifest.layers.map((layer) => [layer.digest, layer])).values()]
  const repeated = totalBytes - layers.reduce((sum, layer) => sum + layer.size, 0)
  const budget = { left: request.maxUnpackedBytes }
  const diffIds = new Map<string, string>()
  let received = repeated
  const onBytes = (bytes: number) => {
    received += bytes
    request.onProgress(received, totalBytes)
  }
  const download = async (blob: Descriptor) => {
    const compression = layerCompression(blob.mediaType) ?? 'none'
    const path = blobPath(request.layoutDir, blob.digest)
    const common = { registry, host: request.reference.host, budget, onBytes, signal: request.signal }
    diffIds.set(blob.digest, await downloadBlob({ ...common, blob, path, compression }))
  }
  await eachLimit(layers, LAYERS_AT_A_TIME, download, stop)
  return diffIds
}

function describe(
  { manifest, digest, indexDigest }: ResolvedImage,
  config: ImageConfig,
  diffIds: Map<string, string>,
  sizeBytes: number,
  wanted: string,
): PulledImage {
  const commands = (config.history ?? [])
    .filter((entry) => !entry.empty_layer)
    .map((entry) => entry.created_by ?? null)
  const layers = manifest.layers.map((layer, position) => {
    const diffId = config.rootfs.diff_ids[position] ?? null
    if (diffIds.get(layer.digest) !== diffId)
      throw new PullError(
        'image_corrupt',
        `Layer ${layer.digest} does not unpack to what its configuration says.`,
      )
    const command = commands.length === manifest.layers.length ? (commands[position] ?? null) : null
    return { digest: layer.digest, diffId, sizeBytes: layer.size, command: command?.slice(0, 4096) ?? null }
  })
  const { os, architecture } = config
  return {
    indexDigest,
    digest,
    platform: platformOfImage(config, wanted).slice(0, 64),
    configDigest: manifest.config.digest,
    sizeBytes,
    layers,
    os,
    architecture,
  }
}
