import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Descriptor } from './manifest.ts'
import { asPullError, PullError } from './pull-error.ts'
import type { RegistrySession } from './registry-session.ts'
import { createUnpackedHash } from './unpacked-hash.ts'

const ATTEMPTS = 3 // a blob that arrives broken three times is broken in the registry
const RETRY_MS = 300

export interface BlobDownload {
  registry: RegistrySession
  host: string
  blob: Descriptor
  path: string
  compression: 'none' | 'gzip' | 'zstd'
  /** Bytes that all blobs of the image may still unpack to; shared by its downloads. */
  budget: { left: number }
  /** Called with the bytes received; negative when a broken attempt is taken back. */
  onBytes: (bytes: number) => void
  signal: AbortSignal
}

interface Attempt {
  received: number
  unpacked: number
}

/**
 * Streams one blob to `path` and returns its diff id (the digest of its unpacked content). Size and sha256 are
 * checked; a broken transfer is tried again a bounded number of times and leaves no file behind.
 */
export async function downloadBlob(download: BlobDownload): Promise<string> {
  for (let tried = 1; ; tried++) {
    const attempt: Attempt = { received: 0, unpacked: 0 }
    try {
      const reply = await download.registry.get(`blobs/${download.blob.digest}`, ['*/*'])
      return await store(reply, download, attempt)
    } catch (cause) {
      const error = asPullError(cause, download.host)
      await rm(download.path, { force: true })
      if (!(error instanceof PullError) || !error.retry || tried === ATTEMPTS) throw error
      download.onBytes(-attempt.received)
      download.budget.left += attempt.unpacked
      await sleep(RETRY_MS * tried, undefined, { signal: download.signal })
    }
  }
}

async function store(reply: IncomingMessage, download: BlobDownload, attempt: Attempt): Promise<string> {
  const { blob, path, compression, budget, onBytes } = download
  const corrupt = (what: string) =>
    new PullError('image_corrupt', `Blob ${blob.digest} ${what}.`, { retry: true })
  const file = await open(path, 'wx', 0o600)
  const hash = createHash('sha256')
  const unpacked = createUnpackedHash(compression, (bytes) => {
    attempt.unpacked += bytes
    budget.left -= bytes
    return budget.left >= 0
  })
  try {
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      attempt.received += chunk.length
      onBytes(chunk.length)
      if (attempt.received > blob.size) throw corrupt('is longer than its manifest says')
      hash.update(chunk)
      await file.appendFile(chunk)
      await unpacked.write(chunk).catch((error) => laterThanDigest(error))
    }
    if (attempt.received !== blob.size) throw corrupt('is shorter than its manifest says')
    if (`sha256:${hash.digest('hex')}` !== blob.digest) throw corrupt('does not match its digest')
    return await unpacked.end()
  } finally {
    unpacked.destroy()
    reply.destroy()
    await file.close()
  }
}

/** A layer that does not unpack may have been damaged on the way: the digest at the end says which. */
function laterThanDigest(error: unknown): void {
  if (error instanceof PullError && error.code === 'image_corrupt') return
  throw error
}
