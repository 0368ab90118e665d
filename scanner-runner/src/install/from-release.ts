import { createWriteStream, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { EngineManifest, PlatformKey } from './engine-manifest.ts'
import { fileSha256 } from './file-sha256.ts'
import type { Obtained } from './installed-engine.ts'
import { runCommand } from './run-command.ts'

const CONNECT_TIMEOUT_MS = 5_000 // a closed network shall cost seconds
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000 // 60 MB over a slow line
const EXTRACT_TIMEOUT_MS = 60_000

/** Downloads the maker's archive and takes the program out of it, if the archive has the pinned sum. */
export async function fromRelease(
  manifest: EngineManifest,
  platform: PlatformKey,
  work: string,
  unreachable: Map<string, string>,
  stop?: AbortSignal,
): Promise<Obtained> {
  const archive = manifest.release.archives[platform]
  if (!archive) return { refused: `there is no release archive for ${platform}` }
  if (archive.sha256 === null) return { refused: 'its release archive has no pinned checksum' }
  const file = join(work, 'release.tar.gz')
  const refused = await fetchUnlessRefused(archive.url, file, unreachable, stop)
  if (refused) return { refused }
  return takeOut(manifest, work, file, { sha256: archive.sha256, of: 'the pinned one' }, stop)
}

/**
 * The same for an archive without a pinned sum, if it has the one that its maker publishes beside it: that proves a
 * complete download from the maker's site, not that the site is as it was when the manifest was written.
 */
export async function fromPublished(
  manifest: EngineManifest,
  platform: PlatformKey,
  work: string,
  unreachable: Map<string, string>,
  stop?: AbortSignal,
): Promise<Obtained> {
  const archive = manifest.release.archives[platform]
  if (!archive) return { refused: `there is no release archive for ${platform}` }
  const sums = join(work, 'checksums.txt')
  const { checksums } = manifest.release
  const refusedSums = await fetchUnlessRefused(checksums, sums, unreachable, stop)
  if (refusedSums) return { refused: refusedSums }
  const name = basename(new URL(archive.url).pathname)
  const lines = readFileSync(sums, 'utf8').split('\n')
  const sha256 = lines
    .map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line))
    .find((line) => line?.[2] === name)
  if (!sha256) return { refused: `its maker publishes no checksum of ${name}` }
  const file = join(work, 'release.tar.gz')
  const refused = await fetchUnlessRefused(archive.url, file, unreachable, stop)
  if (refused) return { refused }
  return takeOut(manifest, work, file, { sha256: sha256[1]!, of: 'the published one' }, stop)
}

/** Downloads; a clause that says why not, or null. A host that does not answer is asked once for all engines. */
async function fetchUnlessRefused(
  url: string,
  file: string,
  unreachable: Map<string, string>,
  stop?: AbortSignal,
): Promise<string | null> {
  const { host } = new URL(url)
  const known = unreachable.get(host)
  if (known) return known
  try {
    await download(url, file, stop)
    return null
  } catch (error) {
    if (error instanceof HttpStatusError) return error.message
    const reason = `${host} cannot be reached (${reasonOf(error)})`
    unreachable.set(host, reason)
    return reason
  }
}

async function takeOut(
  manifest: EngineManifest,
  work: string,
  file: string,
  expected: { sha256: string; of: string },
  stop?: AbortSignal,
): Promise<Obtained> {
  const actual = await fileSha256(file)
  if (actual !== expected.sha256)
    return { refused: `its release archive has the sha256 ${actual}, not ${expected.of}` }
  const extracted = await runCommand('tar', ['-xzf', file, '-C', work, manifest.release.member], {
    timeoutMs: EXTRACT_TIMEOUT_MS,
    signal: stop,
  })
  if (!extracted.ok) return { refused: `its release archive cannot be unpacked (${extracted.problem})` }
  const path = join(work, manifest.release.member)
  return { path, sha256: (await fileSha256(path))! }
}

class HttpStatusError extends Error {}

async function download(url: string, file: string, stop?: AbortSignal): Promise<void> {
  const controller = new AbortController()
  const connecting = setTimeout(() => controller.abort(new Error('no answer in 5 s')), CONNECT_TIMEOUT_MS)
  const limits = [controller.signal, AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS), ...(stop ? [stop] : [])]
  const signal = AbortSignal.any(limits)
  try {
    const response = await fetch(url, { signal })
    clearTimeout(connecting)
    if (!response.ok || !response.body)
      throw new HttpStatusError(`its release archive answered ${response.status}`)
    await pipeline(
      Readable.fromWeb(response.body as import('node:stream/web').ReadableStream),
      createWriteStream(file),
    )
  } finally {
    clearTimeout(connecting)
  }
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  return cause instanceof Error ? cause.message : message
}
