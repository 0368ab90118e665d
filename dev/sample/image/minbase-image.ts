import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip } from 'node:zlib'
import { type Layer, OCI, OciLayout, type Platform } from './oci-layout.ts'
import { IMAGE_CREATED, type WrittenImage } from './written-image.ts'

const DEBOOTSTRAP_TIMEOUT_MS = 10 * 60_000 // 44 s measured; a slow mirror gets room
const TAR_TIMEOUT_MS = 2 * 60_000
const TAG = 'bookworm'
const PLATFORMS: Partial<Record<string, Platform>> = {
  x64: { os: 'linux', architecture: 'amd64' },
  arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
}

/** Why the image cannot be made on this machine. */
interface ImageUnavailable {
  unavailable: string
}

interface Machine {
  /** As `process.platform` and `process.arch` name them. */
  os: string
  architecture: string
  uid: number | null
  hasDebootstrap: boolean
}

/** The platform that debootstrap can install on this machine, or what it lacks. */
export function minbaseRequirement(machine: Machine): { platform: Platform } | ImageUnavailable {
  const platform = PLATFORMS[machine.architecture]
  if (machine.os !== 'linux' || !platform)
    return { unavailable: 'the minbase image needs Linux on amd64 or arm64' }
  if (machine.uid !== 0) return { unavailable: 'the minbase image needs root, for debootstrap' }
  if (!machine.hasDebootstrap) {
    return { unavailable: 'the minbase image needs debootstrap (apt-get install debootstrap)' }
  }
  return { platform }
}

/**
 * Debian 12 as `debootstrap --variant=minbase` installs it, in one layer, for this machine's platform. A layout that is
 * already at `layoutDir` is used again. Needs Linux, root, debootstrap and a Debian mirror; says in a sentence which is
 * missing. Rejects only when the disk fails.
 */
export async function writeMinbaseImage(layoutDir: string): Promise<WrittenImage | ImageUnavailable> {
  const requirement = minbaseRequirement(await machine())
  if ('unavailable' in requirement) return requirement
  const { platform } = requirement
  if (existsSync(join(layoutDir, 'index.json'))) return written(layoutDir, platform)
  const work = mkdtempSync(join(dirname(layoutDir), '.minbase-'))
  try {
    const root = join(work, 'root')
    const options = { timeout: DEBOOTSTRAP_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 }
    await promisify(execFile)('debootstrap', ['--variant=minbase', 'bookworm', root], options)
    await packRoot(root, join(work, 'layout'), platform)
    rmSync(layoutDir, { recursive: true, force: true })
    renameSync(join(work, 'layout'), layoutDir)
    return written(layoutDir, platform)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOSPC' || code === 'EACCES') throw error
    return { unavailable: `debootstrap did not finish: ${message.trim().split('\n').at(-1)}` }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function machine(): Promise<Machine> {
  const hasDebootstrap = await promisify(execFile)('debootstrap', ['--version'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  )
  return { os: process.platform, architecture: process.arch, uid: process.getuid?.() ?? null, hasDebootstrap }
}

/** Packs a root file system as the only layer of an image; members are in order of their names. */
async function packRoot(root: string, layoutDir: string, platform: Platform): Promise<void> {
  const layout = new OciLayout(layoutDir)
  const file = join(layout.blobsDir, 'layer')
  const leaveOut = ['./dev/*', './proc/*', './sys/*', './var/cache/apt/archives/*.deb', './var/log/*.log']
  const form = [
    '--sort=name',
    '--mtime=@0',
    '--numeric-owner',
    ...leaveOut.map((pattern) => `--exclude=${pattern}`),
  ]
  const tar = spawn('tar', [...form, '-cf', '-', '-C', root, '.'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TAR_TIMEOUT_MS,
  })
  const ended = once(tar, 'close')
  const [diff, blob] = [createHash('sha256'), createHash('sha256')]
  await pipeline(
    tar.stdout,
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        diff.update(chunk)
        yield chunk
      }
    },
    createGzip({ level: 6 }),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        blob.update(chunk)
        yield chunk
      }
    },
    createWriteStream(file),
  )
  const [exitCode] = (await ended) as [number | null]
  if (exitCode !== 0) throw new Error(`tar ended with ${exitCode}`)
  const digest = blob.digest('hex')
  renameSync(file, join(layout.blobsDir, digest))
  const layer: Layer = {
    createdBy: 'debootstrap --variant=minbase bookworm',
    diffId: `sha256:${diff.digest('hex')}`,
    descriptor: {
      mediaType: OCI.gzipLayer,
      digest: `sha256:${digest}`,
      size: statSync(join(layout.blobsDir, digest)).size,
    },
  }
  layout.finish(layout.manifest(platform, { created: IMAGE_CREATED }, [layer]), TAG)
}

function written(layoutDir: string, platform: Platform): WrittenImage {
  const index = JSON.parse(readFileSync(join(layoutDir, 'index.json'), 'utf8')) as {
    manifests: { digest: string }[]
  }
  const platforms = [`${platform.os}/${platform.architecture}`]
  return { layoutDir, tag: TAG, digest: index.manifests[0]!.digest, platforms }
}
