import { type Layer, OCI, type OciLayout, sha256 } from './oci-layout.ts'
import { storedGzip } from './stored-gzip.ts'
import { type TarFile, tarArchive } from './tar.ts'

/** An image written to disk, as `serveLayouts` takes it. */
export interface WrittenImage {
  layoutDir: string
  tag: string
  /** The digest that the tag names: the index's, where there is one. */
  digest: string
  platforms: string[]
}

/** The moment every sample image says it was made at: fixed, so that its digest is. */
export const IMAGE_CREATED = '2026-01-01T00:00:00Z'

/** A layer of the given files, added to the layout. */
export function fileLayer(layout: OciLayout, createdBy: string, files: readonly TarFile[]): Layer {
  const tar = tarArchive(files)
  return { createdBy, diffId: sha256(tar), descriptor: layout.blob(OCI.gzipLayer, storedGzip(tar)) }
}
