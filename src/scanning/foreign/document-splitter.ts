import { BrokenEnvelope, ByteBuffer } from '../results/index.ts'

const MAX_REST_BYTES = 2_000_000 // all but the findings: the engines' versions are the longest of it
const MAX_DEPTH = 100
const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d]
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
const NULL = new TextEncoder().encode('null')

/**
 * Parts a document into the object under `findings`, whose bytes it hands on as they come, and the rest, which has
 * null in its place. It knows only strings and brackets: the document is JSON exactly when both parts are. A second
 * `findings` is refused: which of the two counts, parsers do not agree on.
 */
export class DocumentSplitter {
  /** Where the object begins in the document, bytes; -1 before it was met. */
  findingsFrom = -1
  private readonly rest = new ByteBuffer(MAX_REST_BYTES)
  private readonly pass: (chunk: Uint8Array) => void
  private depth = 0
  private offset = 0
  private inString = false
  private escaped = false
  private inFindings = false
  /** At depth 1: where the key that is being read begins in the rest; the last key; what may come next. */
  private keyFrom = -1
  private key: unknown
  private expectsKey = false
  private expectsValue = false

  constructor(pass: (chunk: Uint8Array) => void) {
    this.pass = pass
  }

  /** Throws BrokenEnvelope, and what `pass` throws. */
  push(chunk: Uint8Array): void {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (this.inString) {
        if (this.escaped) this.escaped = false
        else if (byte === BACKSLASH) this.escaped = true
        else if (byte === QUOTE) {
          this.inString = false
          if (this.keyFrom >= 0) from = this.endKey(chunk, from, at + 1)
        }
      } else if (byte === QUOTE) {
        this.inString = true
        if (this.depth === 1 && this.expectsKey) {
          this.keep(chunk.subarray(from, at))
          from = at
          this.keyFrom = this.rest.length
        }
        this.expectsKey = this.expectsValue = false
      } else if (byte === OPEN || byte === OPEN_LIST) {
        if (++this.depth > MAX_DEPTH) throw new BrokenEnvelope()
        if (byte === OPEN && this.depth === 2 && this.expectsValue && this.key === 'findings') {
          from = this.beginFindings(chunk, from, at)
        }
        this.expectsKey = this.depth === 1
        this.expectsValue = false
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        if (--this.depth === 1 && this.inFindings) from = this.endFindings(chunk, from, at + 1)
      } else if (this.depth === 1 && !isSpace(byte)) {
        this.expectsKey = byte === COMMA
        this.expectsValue = byte === COLON
      }
    }
    this.keep(chunk.subarray(from))
    this.offset += chunk.length
  }

  /** The document without its findings. Throws BrokenEnvelope. */
  end(): unknown {
    if (this.inFindings) throw new BrokenEnvelope()
    return parsed(this.rest.text())
  }

  private keep(bytes: Uint8Array): void {
    if (this.inFindings) this.pass(bytes)
    else if (!this.rest.add(bytes, 0, bytes.length)) throw new BrokenEnvelope()
  }

  private endKey(chunk: Uint8Array, from: number, end: number): number {
    this.keep(chunk.subarray(from, end))
    this.key = parsed(this.rest.text(this.keyFrom))
    this.keyFrom = -1
    return end
  }

  private beginFindings(chunk: Uint8Array, from: number, at: number): number {
    if (this.findingsFrom >= 0) throw new BrokenEnvelope()
    this.keep(chunk.subarray(from, at))
    this.keep(NULL)
    this.findingsFrom = this.offset + at
    this.inFindings = true
    return at
  }

  private endFindings(chunk: Uint8Array, from: number, end: number): number {
    this.pass(chunk.subarray(from, end))
    this.inFindings = false
    return end
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new BrokenEnvelope()
  }
}
