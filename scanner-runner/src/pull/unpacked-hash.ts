import { createHash } from 'node:crypto'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { PullError } from './pull-error.ts'

export interface UnpackedHash {
  write(chunk: Buffer): Promise<void>
  /** The diff id: `sha256:` of the unpacked tar. Rejects with PullError when the layer does not unpack. */
  end(): Promise<string>
  destroy(): void
}

/**
 * Hashes a layer's unpacked content while it is downloaded. `take` is told every count of unpacked bytes and
 * answers whether they are still within what the image may unpack to.
 * trivy silently skips a layer that does not unpack, so this is what keeps such an image from looking clean.
 */
export function createUnpackedHash(
  compression: 'none' | 'gzip' | 'zstd',
  take: (bytes: number) => boolean,
): UnpackedHash {
  const hash = createHash('sha256')
  let failure: PullError | null = null
  const digest = (chunk: Buffer) => {
    if (take(chunk.length)) hash.update(chunk)
    else failure ??= new PullError('image_too_large', 'Its layers unpack to more than is allowed.')
  }
  const check = () => {
    if (failure) throw failure
  }
  if (compression === 'none')
    return {
      write: async (chunk) => {
        digest(chunk)
        check()
      },
      end: async () => `sha256:${hash.digest('hex')}`,
      destroy: () => {},
    }
  const unpacker = compression === 'gzip' ? createGunzip() : createZstdDecompress()
  // a stream that fails forgets the callbacks of its writes: its end settles whoever waits
  let wake = () => {}
  unpacker.on('data', digest)
  unpacker.on('end', () => wake())
  unpacker.on('close', () => wake())
  unpacker.on('error', () => {
    failure ??= new PullError('image_corrupt', 'A layer does not unpack.')
  })
  const settled = (begin: (done: () => void) => void): Promise<void> =>
    new Promise((done) => {
      wake = done
      begin(done)
    })
  return {
    write: async (chunk) => {
      check()
      await settled((done) => unpacker.write(chunk, () => done()))
      check()
    },
    end: async () => {
      check()
      await settled(() => unpacker.end())
      check()
      return `sha256:${hash.digest('hex')}`
    },
    destroy: () => void unpacker.destroy(),
  }
}
