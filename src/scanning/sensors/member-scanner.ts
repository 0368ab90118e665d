import type { EnvelopeHead } from './envelope-head.ts'

const WANTED = ['version', 'fence', 'requestId', 'image', 'scan'] as const
const MAX_VALUE = 1024 * 1024 // bytes of one member that is looked at

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const isOpening = (byte: number) => byte === 0x7b || byte === 0x5b
const isClosing = (byte: number) => byte === 0x7d || byte === 0x5d

/**
 * Finds in one pass over the bytes of a JSON object what `envelopeHead` reads from its beginning, wherever it stands.
 * Holds one member at a time, and of the others nothing.
 */
export class MemberScanner {
  readonly head: EnvelopeHead = {}
  private depth = 0
  private inString = false
  private escaped = false
  private key: string | null = null
  /** Bytes of the key or value that is being read; null where it is not looked at. */
  private kept: number[] | null = []

  add(chunk: Uint8Array): void {
    for (const byte of chunk) this.take(byte)
  }

  private take(byte: number): void {
    if (this.inString) {
      this.keep(byte)
      if (this.escaped) this.escaped = false
      else if (byte === BACKSLASH) this.escaped = true
      else if (byte === QUOTE) this.inString = false
      return
    }
    if (isOpening(byte)) this.depth++
    else if (isClosing(byte)) this.depth--
    const isEnd = this.depth === 0 ? isClosing(byte) : this.depth === 1 && byte === COMMA
    if (isEnd) this.endOfMember()
    else if (this.depth === 1 && byte === COLON && this.key === null) this.endOfKey()
    else if (this.depth > 1 || !isOpening(byte)) {
      this.inString = byte === QUOTE
      this.keep(byte)
    }
  }

  private keep(byte: number): void {
    if (this.kept === null) return
    this.kept.push(byte)
    if (this.kept.length > MAX_VALUE) this.kept = null
  }

  private endOfKey(): void {
    const key = this.parsed()
    this.key = typeof key === 'string' ? key : ''
    this.kept = WANTED.some((name) => name === this.key) ? [] : null
  }

  private endOfMember(): void {
    const value = this.parsed()
    const name = WANTED.find((wanted) => wanted === this.key)
    if (name === 'scan') this.head.scanId = (value as { id?: unknown } | null | undefined)?.id
    else if (name) this.head[name] = value
    this.key = null
    this.kept = []
  }

  private parsed(): unknown {
    try {
      return JSON.parse(new TextDecoder().decode(new Uint8Array(this.kept ?? [])))
    } catch {
      return undefined
    }
  }
}
