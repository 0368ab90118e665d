/** Bytes that grow up to a limit; one text at the end. */
export class ByteBuffer {
  length = 0
  private bytes = new Uint8Array(4096)
  private readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /** Adds chunk[from, to); false when that is more than the limit. */
  add(chunk: Uint8Array, from: number, to: number): boolean {
    const length = this.length + to - from
    if (length > this.limit) return false
    if (length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(chunk.subarray(from, to), this.length)
    this.length = length
    return true
  }

  /** What begins at `from`, as UTF-8; what is none becomes U+FFFD, as `Response.text` has it. */
  text(from = 0): string {
    return decoder.decode(this.bytes.subarray(from, this.length))
  }

  clear(): void {
    this.length = 0
  }
}

const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
