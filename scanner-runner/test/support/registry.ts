import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Blob, Image } from './image.ts'

export interface Asked {
  path: string
  authorization: string | undefined
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => boolean

/** A registry on loopback whose misbehaviour a test writes itself. */
export interface Registry {
  host: string
  url: string
  asked: Asked[]
  /** Serves an image's blobs and manifest, and names it by a tag. */
  add(image: Image, tag?: string): void
  addManifest(manifest: Blob, tag?: string): void
  /** Asked first; true means that it has answered. */
  intercept: Handler
  close(): Promise<void>
}

export async function aRegistry(tls?: { key: string; cert: string }): Promise<Registry> {
  const manifests = new Map<string, Blob>()
  const blobs = new Map<string, Blob>()
  const listener: RequestListener = (request, response) => {
    registry.asked.push({ path: request.url ?? '', authorization: request.headers.authorization })
    if (registry.intercept(request, response)) return
    const [, kind, name = ''] = /\/v2\/.+\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? []
    const found = kind === 'manifests' ? manifests.get(name) : kind === 'blobs' ? blobs.get(name) : undefined
    if (!found) return void response.writeHead(request.url === '/v2/' ? 200 : 404).end('{}')
    const type = kind === 'blobs' ? 'application/octet-stream' : found.mediaType
    response.writeHead(200, { 'content-type': type, 'content-length': found.size }).end(found.bytes)
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const addManifest = (manifest: Blob, tag?: string) => {
    manifests.set(manifest.digest, manifest)
    if (tag) manifests.set(tag, manifest)
  }
  const registry: Registry = {
    host,
    url: `${tls ? 'https' : 'http'}://${host}`,
    asked: [],
    addManifest,
    add(image, tag) {
      addManifest(image.manifest, tag)
      for (const blob of image.blobs) blobs.set(blob.digest, blob)
    },
    intercept: () => false,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
  return registry
}
