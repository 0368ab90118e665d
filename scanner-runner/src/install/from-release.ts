import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
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
  if (archive.sha256 === null)
    return { refused: 'its release archive has no pinned checksum, so it is not trusted' }
  const { host } = new URL(archive.url)
  const known = unreachable.get(host)
  if (known) return { refused: known }
  const file = join(work, 'release.tar.gz')
  try {
    await download(archive.url, file, stop)
  } catch (error) {
    const reason = `${host} cannot be reached (${reasonOf(error)})`
    if (!(error instanceof HttpStatusError)) unreachable.set(host, reason)
    return { refused: error instanceof HttpStatusError ? error.message : reason }
  }
  const actual = await fileSha256(file)
  if (actual !== archive.sha256)
    return { refused: `its release archive has the sha256 ${actual}, not the pinned one` }
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
