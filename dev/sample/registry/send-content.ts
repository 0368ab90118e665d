import { createReadStream } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { findBlob, findManifest, type ServedRepository } from './layout-content.ts'
import type { RegistryFault } from './registry-fault.ts'

/** A JSON answer, with the Link to the next page where there is one. */
export function sendJson(response: ServerResponse, value: object, link: string | null = null): void {
  response.writeHead(200, { 'content-type': 'application/json', ...(link ? { link } : {}) })
  response.end(JSON.stringify(value))
}

/** An error answer in the distribution API's shape. */
export function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }))
}

/** The manifest or index of a tag or digest, damaged as the fault says; the media type is the one it states. */
export function sendManifest(
  response: ServerResponse,
  repository: ServedRepository,
  reference: string,
  fault: RegistryFault | null,
): void {
  const manifest = findManifest(repository, reference)
  if (!manifest) {
    refuse(response, 404, 'MANIFEST_UNKNOWN')
    return
  }
  response.writeHead(200, {
    'content-type': manifest.mediaType,
    'content-length': manifest.blob.size,
    'docker-content-digest':
      fault?.kind === 'wrongDigestHeader' ? `sha256:${'0'.repeat(64)}` : manifest.blob.digest,
  })
  if (fault?.kind === 'truncate') {
    response.write(manifest.content.subarray(0, manifest.content.length >> 1), () => response.destroy())
    return
  }
  response.end(fault?.kind === 'corrupt' ? flipped(manifest.content) : manifest.content)
}

/** A blob as a stream, damaged as the fault says. */
export async function sendBlob(
  response: ServerResponse,
  repository: ServedRepository,
  digest: string,
  fault: RegistryFault | null,
): Promise<void> {
  const blob = findBlob(repository, digest)
  if (!blob) {
    refuse(response, 404, 'BLOB_UNKNOWN')
    return
  }
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': blob.size,
    'docker-content-digest': fault?.kind === 'wrongDigestHeader' ? `sha256:${'0'.repeat(64)}` : blob.digest,
  })
  if (response.req.method === 'HEAD') {
    response.end()
    return
  }
  if (fault?.kind === 'truncate') {
    for await (const chunk of createReadStream(blob.path, { end: (blob.size >> 1) - 1 }))
      response.write(chunk)
    response.write('', () => response.destroy())
    return
  }
  const corrupting = fault?.kind === 'corrupt'
  await pipeline(
    createReadStream(blob.path),
    async function* (chunks: AsyncIterable<Buffer>) {
      let first = true
      for await (const chunk of chunks) {
        yield corrupting && first ? flipped(chunk) : chunk
        first = false
      }
    },
    response,
  )
}

/** The bytes with one of them changed. */
function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy[copy.length >> 1]! ^= 0xff
  return copy
}
