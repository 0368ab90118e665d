import { bodyAsSent } from '../../http/body.ts'
import { problem } from '../../http/problems.ts'
import { announcedBody } from './announced-body.ts'
import { type EnvelopeHead, envelopeHead } from './envelope-head.ts'
import { MAX_UPLOAD_BYTES } from './protocol.ts'

const HEAD_BYTES = 4 * 1024 * 1024 // room for 500 layers with their commands, which stand before the scan's id

export interface ReceivedUpload {
  head: EnvelopeHead
  /** The whole body, to be stored: of known length, held in memory only when it is small. */
  open(): ReadableStream | ArrayBuffer
  /** True once the body turned out to be other than announced. */
  isBroken(): boolean
  /** Lets go of a body that is not wanted. */
  discard(): Promise<void>
}

/**
 * Reads the beginning of an uploaded envelope and leaves the rest as a stream. Throws PAYLOAD_TOO_LARGE above the
 * limit, UNSUPPORTED_MEDIA_TYPE for a packed body, BAD_REQUEST for a body that is empty or breaks off, or a large one of unannounced length.
 */
export async function receiveUpload(request: Request): Promise<ReceivedUpload> {
  const announced = request.headers.get('Content-Length')
  const length = announced === null ? null : Number(announced)
  const tooLarge = () => problem('PAYLOAD_TOO_LARGE', `A result has at most ${MAX_UPLOAD_BYTES} bytes`)
  if (length !== null && length > MAX_UPLOAD_BYTES) throw tooLarge()
  const sent = bodyAsSent(request)
  if (!sent) throw problem('BAD_REQUEST', 'A JSON body is required')
  const reader = sent.getReader()
  const { chunks, bytes, ended } = await readHead(reader)
  const head = envelopeHead(await new Blob(chunks).text())
  if (ended) {
    if (bytes === 0) throw problem('BAD_REQUEST', 'A JSON body is required')
    if (length !== null && length !== bytes) brokenOff()
    const whole = await new Blob(chunks).arrayBuffer()
    return { head, open: () => whole, isBroken: () => false, discard: async () => {} }
  }
  if (length === null || !Number.isSafeInteger(length) || length < bytes) {
    await reader.cancel()
    throw problem('BAD_REQUEST', 'Content-Length is required for a large result')
  }
  const body = announcedBody(reader, length, chunks)
  return { head, open: () => body.stream, isBroken: body.isBroken, discard: body.release }
}

const brokenOff = (): never => {
  throw problem('BAD_REQUEST', 'The body broke off')
}

async function readHead(reader: ReadableStreamDefaultReader<Uint8Array>) {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  while (bytes < HEAD_BYTES) {
    const { done, value } = await reader.read().catch(brokenOff)
    if (done) return { chunks, bytes, ended: true }
    chunks.push(new Uint8Array(value))
    bytes += value.byteLength
  }
  return { chunks, bytes, ended: false }
}
