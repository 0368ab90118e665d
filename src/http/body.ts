import { Problem, problem } from './problems.ts'

const MAX_JSON_BYTES = 1024 * 1024 // no documented body comes near it

/** The media type that a request names, without parameters; undefined where it names none. */
export const mediaTypeOf = (request: Request): string | undefined =>
  request.headers.get('Content-Type')?.split(';')[0]?.trim().toLowerCase() || undefined

/** The bytes as they were sent. A Content-Encoding is UNSUPPORTED_MEDIA_TYPE: nothing that a client packed is unpacked. */
export function bodyAsSent(request: Request): ReadableStream<Uint8Array> | null {
  const encoding = request.headers.get('Content-Encoding')?.trim().toLowerCase()
  if (encoding && encoding !== 'identity')
    throw problem('UNSUPPORTED_MEDIA_TYPE', 'A Content-Encoding is not accepted: send the body unpacked')
  return request.body
}

/**
 * Reads a JSON body of bounded size. Another media type is UNSUPPORTED_MEDIA_TYPE (none at all too, unless
 * `untyped`), more bytes are PAYLOAD_TOO_LARGE, a document that is empty or malformed or breaks off is BAD_REQUEST.
 */
export async function readBody(
  request: Request,
  maxBytes = MAX_JSON_BYTES,
  untyped = false,
): Promise<{ text: string; json: unknown }> {
  const mediaType = mediaTypeOf(request)
  if (mediaType !== 'application/json' && !(untyped && mediaType === undefined)) {
    throw problem('UNSUPPORTED_MEDIA_TYPE')
  }
  const text = await readText(request, maxBytes)
  if (text.trim() === '') throw problem('BAD_REQUEST', 'A JSON body is required')
  try {
    return { text, json: JSON.parse(text) }
  } catch {
    throw problem('BAD_REQUEST', 'The body is not valid JSON')
  }
}

async function readText(request: Request, maxBytes: number): Promise<string> {
  const tooLarge = () => problem('PAYLOAD_TOO_LARGE', `The body is larger than ${maxBytes} bytes`)
  if (Number(request.headers.get('Content-Length') ?? 0) > maxBytes) throw tooLarge()
  const body = bodyAsSent(request)
  if (!body) return ''
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  let text = ''
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength
      if (bytes > maxBytes) throw tooLarge()
      text += decoder.decode(chunk, { stream: true })
    }
    return text + decoder.decode()
  } catch (error) {
    if (error instanceof Problem) throw error
    const sentence = error instanceof TypeError ? 'The body is not valid UTF-8' : 'The body broke off'
    throw problem('BAD_REQUEST', sentence)
  }
}
