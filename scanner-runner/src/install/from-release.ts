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

interface Place {
  manifest: EngineManifest
  archive: EngineManifest['release']['archives'][PlatformKey]
  /** Downloads into a file; a clause that says why not, or null. */
  fetchTo(url: string, file: string): Promise<string | null>
  work: string
}

type Expected = { sha256: string; of: string } | { refused: string }

/** Takes the program out of the maker's archive, if that has the sum that `expected` finds for it. */
const fromArchive =
  (expected: (place: Place) => Promise<Expected>) =>
  async (
    manifest: EngineManifest,
    platform: PlatformKey,
    work: string,
    unreachable: Map<string, string>,
    stop?: AbortSignal,
  ): Promise<Obtained> => {
    const archive = manifest.release.archives[platform]
    if (!archive) return { refused: `there is no release archive for ${platform}` }
    const fetchTo = (url: string, file: string) => fetchUnlessRefused(url, file, unreachable, stop)
    const sum = await expected({ manifest, archive, fetchTo, work })
    if ('refused' in sum) return sum
    const file = join(work, 'release.tar.gz')
    const refused = await fetchTo(archive.url, file)
    if (refused) return { refused }
    return takeOut(manifest, work, file, sum, stop)
  }

/** Downloads the maker's archive and takes the program out of it, if the archive has the pinned sum. */
export const fromRelease = fromArchive(async ({ archive: { sha256 } }) =>
  sha256 === null
    ? { refused: 'its release archive has no pinned checksum' }
    : { sha256, of: 'the pinned one' },
)

/**
 * The same for an archive without a pinned sum, if it has the one that its maker publishes beside it: that proves a
 * complete download from the maker's site, not that the site is as it was when the manifest was written.
 */
export const fromPublished = fromArchive(async ({ manifest, archive, fetchTo, work }) => {
  const sums = join(work, 'checksums.txt')
  const refused = await fetchTo(manifest.release.checksums, sums)
  if (refused) return { refused }
  const name = basename(new URL(archive.url).pathname)
  const sha256 = readFileSync(sums, 'utf8')
    .split('\n')
    .map((line) => /^([0-9a-f]{64}) [ *](.+)$/.exec(line))
    .find((line) => line?.[2] === name)?.[1]
  return sha256
    ? { sha256, of: 'the published one' }
    : { refused: `its maker publishes no checksum of ${name}` }
})

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
