import { createHash } from 'node:crypto'
import type { FakeImage } from '../../fake-registry.ts'

export interface Document {
  digest: string
  mediaType: string
  body: Buffer
}

const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'

function documentOf(mediaType: string, value: unknown): Document {
  const body = Buffer.from(JSON.stringify(value))
  return { digest: `sha256:${createHash('sha256').update(body).digest('hex')}`, mediaType, body }
}

const describe = ({ digest, mediaType, body }: Document) => ({ mediaType, digest, size: body.length })

/** Every document of an image; the first is what its tag names. An index also names an attestation manifest. */
export function documentsOf({
  seed,
  platforms = ['linux/amd64', 'linux/arm64'],
  single,
}: FakeImage): Document[] {
  const images = platforms.map((platform) => {
    const [os, architecture, variant] = platform.split('/')
    const config = documentOf(CONFIG, {
      os,
      architecture,
      variant,
      seed,
      rootfs: { type: 'layers', diff_ids: [] },
    })
    const manifest = documentOf(MANIFEST, {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: describe(config),
      layers: [],
    })
    return { platform: { os, architecture, variant }, manifest, config }
  })
  const documents = images.flatMap(({ manifest, config }) => [manifest, config])
  if (single) return documents
  const attestation = documentOf(MANIFEST, { schemaVersion: 2, mediaType: MANIFEST, seed, layers: [] })
  const index = documentOf(INDEX, {
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [
      ...images.map(({ platform, manifest }) => ({ ...describe(manifest), platform })),
      {
        ...describe(attestation),
        platform: { os: 'unknown', architecture: 'unknown' },
        annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
      },
    ],
  })
  return [index, ...documents, attestation]
}
