import { putUpload, putUploadInParts } from '../../db/blobs.ts'
import type { Env } from '../../env.ts'
import { bodyAsSent } from '../../http/body.ts'
import { problem } from '../../http/problems.ts'
import { announcedBody } from './announced-body.ts'
import { type EnvelopeHead, envelopeHead, isAddressed } from './envelope-head.ts'
import { insistently } from './insistently.ts'
import { MAX_UPLOAD_BYTES } from './protocol.ts'

const HEAD_BYTES = 4 * 1024 * 1024 // room for 500 layers with their commands, which stand before the scan's id
const FIRST_LOOK = 16 * 1024 // bytes; the head is looked at again each time twice as much was read

export interface ReceivedUpload {
  head: EnvelopeHead
  /** True where the head was looked for in the whole body. */
  isComplete: boolean
  /** Bytes, as far as they are known before the end. */
  length: number | null
  /**
   * Stores the whole body: in memory only while it is small, as a stream of announced length, or in parts where the
   * length is unknown. Throws BAD_REQUEST for a body that breaks off or is other than announced, PAYLOAD_TOO_LARGE.
   */
  store(env: Env, key: string): Promise<void>
  /** Reads what is left to its end: a client that is answered before sees a connection that broke. */
  discard(): Promise<void>
}

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>

/**
 * Reads the beginning of an uploaded envelope, up to what says where it belongs, and leaves the rest as a stream.
 * Throws PAYLOAD_TOO_LARGE above the limit, UNSUPPORTED_MEDIA_TYPE for a packed body, BAD_REQUEST for a body that is
 * empty or breaks off, when it was read.
 */
export async function receiveUpload(request: Request): Promise<ReceivedUpload> {
  const sent = bodyAsSent(request) as ReadableStream<Uint8Array<ArrayBuffer>> | null
  if (!sent) throw problem('BAD_REQUEST', 'A JSON body is required')
  const body = beginningOf(drainingReader(sent.getReader()))
  try {
    const length = announcedLength(request)
    if (length !== null && length > MAX_UPLOAD_BYTES) throw tooLarge()
    const head = await readHead(body)
    if (body.ended && body.bytes === 0) throw problem('BAD_REQUEST', 'A JSON body is required')
    if (body.ended && length !== null && body.bytes < length) throw notAsAnnounced()
    const store = (env: Env, key: string) => storeBody(env, key, body, length)
    return {
      head,
      isComplete: body.ended,
      length: body.ended ? body.bytes : length,
      store,
      discard: () => body.reader.cancel(),
    }
  } catch (error) {
    await body.reader.cancel()
    throw error
  }
}

const tooLarge = () => problem('PAYLOAD_TOO_LARGE', `A result has at most ${MAX_UPLOAD_BYTES} bytes`)
const notAsAnnounced = () => problem('BAD_REQUEST', 'The body is not as long as announced')

/** What Content-Length says; null where it is missing or no length. */
function announcedLength(request: Request): number | null {
  const text = request.headers.get('Content-Length')
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** A reader that goes on to the end when it is cancelled. */
function drainingReader(reader: Reader): Reader {
  reader.closed.catch(() => {}) // told by `read` already
  const drain = async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read());
  }
  return {
    read: () => reader.read(),
    cancel: () => drain().catch(() => {}),
    releaseLock: () => reader.releaseLock(),
    closed: reader.closed,
  } as Reader
}

interface Beginning {
  reader: Reader
  chunks: Uint8Array<ArrayBuffer>[]
  bytes: number
  ended: boolean
}

const beginningOf = (reader: Reader): Beginning => ({ reader, chunks: [], bytes: 0, ended: false })

async function readOn(body: Beginning): Promise<void> {
  const { done, value } = await body.reader.read().catch(() => {
    throw problem('BAD_REQUEST', 'The body broke off')
  })
  body.ended = done
  if (!value) return
  body.chunks.push(new Uint8Array(value))
  body.bytes += value.byteLength
}

async function readHead(body: Beginning): Promise<EnvelopeHead> {
  let head: EnvelopeHead = {}
  for (let look = FIRST_LOOK; !body.ended && body.bytes < HEAD_BYTES; ) {
    await readOn(body)
    if (body.bytes < look && !body.ended) continue
    head = envelopeHead(await new Blob(body.chunks).text())
    if (isAddressed(head)) return head
    look = body.bytes * 2
  }
  return envelopeHead(await new Blob(body.chunks).text())
}

async function storeBody(env: Env, key: string, body: Beginning, length: number | null): Promise<void> {
  while (!body.ended && body.bytes < HEAD_BYTES) await readOn(body)
  if (body.ended && length !== null && body.bytes < length) throw notAsAnnounced()
  if (body.ended) {
    const whole = await new Blob(body.chunks).arrayBuffer()
    return insistently(() => putUpload(env, key, whole))
  }
  if (length === null || length < body.bytes) return putUploadInParts(env, key, allChunks(body))
  const announced = announcedBody(body.reader, length, body.chunks)
  try {
    await putUpload(env, key, announced.stream)
  } catch (error) {
    await announced.release()
    throw announced.isBroken() ? notAsAnnounced() : error
  }
}

async function* allChunks(body: Beginning): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield* body.chunks
  while (!body.ended) {
    body.chunks = []
    await readOn(body)
    if (body.bytes > MAX_UPLOAD_BYTES) throw tooLarge()
    yield* body.chunks
  }
}
