import { ByteBuffer } from './byte-buffer.ts'
import { RESULT_LISTS, type ResultListName } from './result-source.ts'

/** Thrown when a document is not JSON, nested too deeply, or has a part that is too large. */
export class BrokenEnvelope extends Error {
  constructor() {
    super('broken envelope')
    this.name = 'BrokenEnvelope'
  }
}

/** Some elements of a list as they stand in the document. */
export interface Slice {
  list: ResultListName
  /** Number in its list; 0 begins the list anew, where a document repeats a member: the last one counts. */
  number: number
  /** Elements with the commas between them, without brackets. */
  text: string
  elements: number
  /** An empty list has one slice with one element that is not there. */
  whole: boolean
  /** Where the text lies in the document, bytes. */
  from: number
  to: number
}

const MAX_ELEMENT_BYTES = 1_000_000 // a package's 1000 locations; the space around an element counts
const MAX_REST_BYTES = 8_000_000 // 500 layers with their commands
const MAX_DEPTH = 100
const SLICE_BYTES = 128 * 1024
const SLICE_ELEMENTS = 1000

const LONG_STRING = 64 // bytes

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d]
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/**
 * Cuts a result envelope into slices of its three lists and the rest, whose lists are empty, in one pass over the
 * bytes. It knows only strings, brackets and commas: the document is JSON exactly when every slice between
 * brackets is (with as many elements as it says) and the rest is. Holds one slice, the rest and no tree.
 */
export class EnvelopeScanner {
  private readonly rest = new ByteBuffer(MAX_REST_BYTES)
  private readonly slice = new ByteBuffer(SLICE_BYTES + MAX_ELEMENT_BYTES)
  private readonly emit: (slice: Slice) => void
  private offset = 0
  /** How much of the chunk lies in the slice or the rest already. */
  private copied = 0
  private depth = 0
  private inString = false
  private escaped = false
  /** At depth 1: where a key that is being read begins in the rest; the last key; whether its value comes next. */
  private keyFrom = -1
  private expectsKey = false
  private key: unknown
  private expectsValue = false
  private list: ResultListName | null = null
  private number = 0
  private commas = 0
  private sliceFrom = 0
  private elementFrom = 0

  constructor(emit: (slice: Slice) => void) {
    this.emit = emit
  }

  /** Throws BrokenEnvelope, and what `emit` throws. */
  push(chunk: Uint8Array): void {
    const { length } = chunk
    if (length === 0) return
    this.copied = 0
    let at = this.inString ? this.endString(chunk, this.escaped ? 1 : 0) : 0
    while (at < length) {
      if (this.depth > 2) {
        at = this.throughElement(chunk, at)
        if (at === length) break
      }
      at = this.throughToken(chunk, at)
    }
    this.copy(chunk, length)
    this.offset += length
  }

  /** The document without the elements of its lists. Throws BrokenEnvelope. */
  end(): unknown {
    if (this.list) throw new BrokenEnvelope()
    return parsed(this.rest.text().replace(/^\ufeff/, ''))
  }

  /** A string, or one byte outside of strings. Returns what comes next. */
  private throughToken(chunk: Uint8Array, at: number): number {
    const byte = chunk[at]!
    if (byte === QUOTE) {
      if (this.depth === 1 && this.expectsKey) this.beginKey(chunk, at)
      this.expectsValue = false
      return this.endString(chunk, at + 1)
    }
    if (byte === OPEN || byte === OPEN_LIST) {
      if (++this.depth > MAX_DEPTH) throw new BrokenEnvelope()
      if (byte === OPEN_LIST && this.expectsValue && this.depth === 2) this.beginList(chunk, at + 1)
      this.expectsKey = this.depth === 1
      this.expectsValue = false
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      if (--this.depth === 1 && this.list) this.endList(chunk, at)
    } else if (byte === COMMA) {
      if (this.depth === 2 && this.list) this.endElement(chunk, at)
      else if (this.depth === 1) this.expectsKey = true
    } else if (this.depth === 1 && !isSpace(byte)) {
      this.expectsValue = byte === COLON
    }
    return at + 1
  }

  /** The bracket that ends what lies deeper than a list's elements; behind the chunk while it goes on. */
  private throughElement(chunk: Uint8Array, from: number): number {
    const { length } = chunk
    let { depth } = this
    for (let at = from; at < length; at++) {
      const byte = chunk[at]!
      if (byte === QUOTE) {
        at = this.throughString(chunk, at + 1)
      } else if ((byte | 0x20) === OPEN) {
        if (++depth > MAX_DEPTH) throw new BrokenEnvelope()
      } else if ((byte | 0x20) === CLOSE) {
        if (depth === 3) {
          this.depth = depth
          return at
        }
        depth--
      }
    }
    this.depth = depth
    return length
  }

  /** The quote that ends the string; behind the chunk while it goes on. */
  private throughString(chunk: Uint8Array, from: number): number {
    const { length } = chunk
    let at = from
    while (at < length) {
      if (at - from > LONG_STRING) return this.throughLongString(chunk, at)
      const byte = chunk[at]!
      if (byte === QUOTE) {
        this.inString = false
        this.escaped = false
        return at
      }
      at += byte === BACKSLASH ? 2 : 1
    }
    this.inString = true
    this.escaped = at > length
    return length
  }

  /** The same by searches, which are faster where a string is long. */
  private throughLongString(chunk: Uint8Array, from: number): number {
    const { length } = chunk
    for (let at = from; at < length; ) {
      const found = chunk.indexOf(QUOTE, at)
      const end = found === -1 ? length : found
      const escaping = chunk.subarray(at, end).indexOf(BACKSLASH)
      if (escaping === -1) {
        this.inString = found === -1
        this.escaped = false
        return end
      }
      at += escaping + 2
      this.escaped = at > length
    }
    this.inString = true
    return length
  }

  private endString(chunk: Uint8Array, from: number): number {
    const end = this.throughString(chunk, from)
    if (!this.inString && this.keyFrom >= 0) {
      this.copy(chunk, end + 1)
      this.key = parsed(this.rest.text(this.keyFrom))
      this.keyFrom = -1
    }
    return end + 1
  }

  private beginKey(chunk: Uint8Array, at: number): void {
    this.copy(chunk, at)
    this.keyFrom = this.rest.length
    this.expectsKey = false
  }

  private beginList(chunk: Uint8Array, at: number): void {
    const name = RESULT_LISTS.find((list) => list === this.key)
    if (!name) return
    this.copy(chunk, at)
    this.list = name
    this.number = 0
    this.commas = 0
    this.sliceFrom = this.elementFrom = this.offset + at
  }

  private endElement(chunk: Uint8Array, at: number): void {
    const end = this.offset + at
    if (end - this.elementFrom > MAX_ELEMENT_BYTES) throw new BrokenEnvelope()
    this.elementFrom = end + 1
    this.commas++
    if (this.commas < SLICE_ELEMENTS && end - this.sliceFrom < SLICE_BYTES) return
    this.emitSlice(chunk, at, this.commas, false)
    this.copied = at + 1
    this.number++
    this.commas = 0
    this.sliceFrom = end + 1
  }

  private endList(chunk: Uint8Array, at: number): void {
    if (chunk[at] !== CLOSE_LIST || this.offset + at - this.elementFrom > MAX_ELEMENT_BYTES)
      throw new BrokenEnvelope()
    this.emitSlice(chunk, at, this.commas + 1, this.number === 0)
    this.list = null
  }

  private emitSlice(chunk: Uint8Array, at: number, elements: number, whole: boolean): void {
    this.copy(chunk, at)
    const { list, number, sliceFrom: from } = this
    this.emit({ list: list!, number, text: this.slice.text(), elements, whole, from, to: this.offset + at })
    this.slice.clear()
  }

  /** Moves what came since the last copy, up to `to`, into the slice or the rest. */
  private copy(chunk: Uint8Array, to: number): void {
    if (!(this.list ? this.slice : this.rest).add(chunk, this.copied, to)) throw new BrokenEnvelope()
    this.copied = to
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new BrokenEnvelope()
  }
}

/** The elements of a slice. Throws BrokenEnvelope. */
export function elementsOf({ text, elements, whole }: Pick<Slice, 'text' | 'elements' | 'whole'>): unknown[] {
  const list = parsed(`[${text}]`) as unknown[]
  const isEmpty = whole && elements === 1 && list.length === 0
  if (list.length !== elements && !isEmpty) throw new BrokenEnvelope()
  return list
}
