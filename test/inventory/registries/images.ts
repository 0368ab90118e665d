import { type FakeRegistry, push } from './fake-registry.ts'

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'

/** An image for one platform; gives the digest of its manifest. */
export async function anImage(registry: FakeRegistry, platform: string, tag?: string): Promise<string> {
  const [os, architecture, variant] = platform.split('/')
  const config = await push(registry, { os, architecture, variant, rootfs: {} })
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: config, size: 2 },
  }
  return push(registry, { ...manifest, layers: [] }, { tag, type: OCI_MANIFEST })
}

/** An index over one image a platform, under a tag; `extra` entries come first. */
export async function anIndex(
  registry: FakeRegistry,
  platforms: string[],
  tag: string,
  extra: object[] = [],
) {
  const manifests = await Promise.all(
    platforms.map(async (platform) => {
      const [os, architecture, variant] = platform.split('/')
      return {
        mediaType: OCI_MANIFEST,
        digest: await anImage(registry, platform),
        platform: { os, architecture, variant },
      }
    }),
  )
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...extra, ...manifests] }
  return {
    digest: await push(registry, index, { tag, type: OCI_INDEX }),
    manifests: manifests.map(({ digest }) => digest),
  }
}
