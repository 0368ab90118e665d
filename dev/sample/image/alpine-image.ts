import { OciLayout } from './oci-layout.ts'
import { fileLayer, IMAGE_CREATED, type WrittenImage } from './written-image.ts'

const OS_RELEASE = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.0\nPRETTY_NAME="Alpine Linux v3.19"\n'

const PACKAGES: readonly { name: string; version: string; origin: string }[] = [
  { name: 'musl', version: '1.2.4_git20230717-r4', origin: 'musl' },
  { name: 'busybox', version: '1.36.1-r15', origin: 'busybox' },
  { name: 'ssl_client', version: '1.36.1-r15', origin: 'busybox' },
  { name: 'libcrypto3', version: '3.1.4-r2', origin: 'openssl' },
  { name: 'libssl3', version: '3.1.4-r2', origin: 'openssl' },
]

/** Alpine 3.19 for linux/amd64 in one layer: release files and the apk database. */
export function writeAlpineImage(layoutDir: string, tag = '3.19'): WrittenImage {
  const layout = new OciLayout(layoutDir)
  const layer = fileLayer(layout, 'ADD alpine base / # buildkit', [
    { path: 'etc/alpine-release', content: '3.19.0\n' },
    { path: 'etc/apk/repositories', content: 'https://dl-cdn.alpinelinux.org/alpine/v3.19/main\n' },
    { path: 'etc/os-release', content: OS_RELEASE },
    { path: 'lib/apk/db/installed', content: `${PACKAGES.map(installedEntry).join('\n')}\n` },
  ])
  const platform = { os: 'linux', architecture: 'amd64' } as const
  const manifest = layout.manifest(platform, { created: IMAGE_CREATED }, [layer])
  layout.finish(manifest, tag)
  return { layoutDir, tag, digest: manifest.digest, platforms: ['linux/amd64'] }
}

function installedEntry({
  name,
  version,
  origin,
}: {
  name: string
  version: string
  origin: string
}): string {
  const fields = {
    P: name,
    V: version,
    A: 'x86_64',
    S: '1',
    I: '1',
    T: name,
    U: 'https://example.invalid',
    L: 'MIT',
  }
  const more = { o: origin, m: 'Sample <sample@example.invalid>', t: '1700000000' }
  return Object.entries({ ...fields, ...more })
    .map(([key, value]) => `${key}:${value}\n`)
    .join('')
}
