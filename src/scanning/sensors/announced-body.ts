/** A body of announced length, as R2 takes it. */
export interface AnnouncedBody {
  stream: ReadableStream
  /** True once it broke off, or held more or less than was announced: the client's fault, not the bucket's. */
  isBroken(): boolean
  /** Lets go of what nobody read. */
  release(): Promise<void>
}

/** What `first` holds and then the rest of `reader`, `length` bytes in all; the stream fails where it is not so. */
export function announcedBody(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  length: number,
  first: readonly Uint8Array[] = [],
): AnnouncedBody {
  const { readable, writable } = new FixedLengthStream(length)
  const writer = writable.getWriter()
  let broken = false
  const read = async () => {
    try {
      return await reader.read()
    } catch (error) {
      broken = true
      throw error
    }
  }
  const pump = async () => {
    let left = length
    const pass = async (chunk: Uint8Array) => {
      left -= chunk.byteLength
      broken = left < 0
      if (broken) throw new Error('more than announced')
      await writer.write(chunk)
    }
    for (const chunk of first) await pass(chunk)
    for (let next = await read(); !next.done; next = await read()) await pass(next.value)
    broken = left > 0
    await writer.close()
  }
  const give = (error: unknown) => Promise.allSettled([writer.abort(error), reader.cancel(error)])
  const ended = pump().catch(give)
  writer.closed.catch(() => {}) // told by `ended` already
  reader.closed.catch(() => {})
  const release = async () => {
    await give(new Error('not wanted'))
    await ended
  }
  return { stream: readable, isBroken: () => broken, release }
}
