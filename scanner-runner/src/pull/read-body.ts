import type { IncomingMessage } from 'node:http'

/** The whole body of a reply, or null when it is longer than `maxBytes` (the connection is then closed). */
export async function readBody(reply: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      reply.destroy()
      return null
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Lets go of a reply whose body is of no interest: drained when small, cut otherwise. */
export function discardBody(reply: IncomingMessage): void {
  reply.on('error', () => {})
  const length = Number(reply.headers['content-length'] ?? Number.NaN)
  if (length <= 65_536) reply.resume()
  else reply.destroy()
}
