/** An event as it stood on the wire. */
export interface StreamEvent {
  id: string
  event: string
  data: string
}

/** What a block of a stream is: an event, how long to wait before asking again, or a line that keeps it alive. */
export type Block =
  | ({ kind: 'event' } & StreamEvent)
  | { kind: 'retry'; milliseconds: number }
  | { kind: 'comment' }

const EVENT = /^id: (\d+-[0-9a-f]{16})\nevent: ([a-z]+)\ndata: (\{[^\r\n]*\})$/
const RETRY = /^retry: (\d+)$/
const COMMENT = /^:[^\r\n]*$/

/** One block, without the empty line that ends it. Throws for everything that this server does not write. */
export function parseBlock(text: string): Block {
  const [, id, event, data] = EVENT.exec(text) ?? []
  if (id && event && data) return { kind: 'event', id, event, data }
  const [, milliseconds] = RETRY.exec(text) ?? []
  if (milliseconds) return { kind: 'retry', milliseconds: Number(milliseconds) }
  if (COMMENT.test(text)) return { kind: 'comment' }
  throw new Error(`not a block of an event stream: ${JSON.stringify(text)}`)
}

export interface BlockReader {
  /** The next block; null at the end. A stream that ends within a block throws. */
  next(): Promise<Block | null>
  /** The next event; null at the end. */
  event(): Promise<StreamEvent | null>
  cancel(): Promise<void>
}

export function readBlocks(body: ReadableStream<Uint8Array>): BlockReader {
  const reader = body.pipeThrough(new TextDecoderStream('utf-8', { fatal: true })).getReader()
  let rest = ''
  const next = async (): Promise<Block | null> => {
    for (;;) {
      const end = rest.indexOf('\n\n')
      if (end >= 0) {
        const block = rest.slice(0, end)
        rest = rest.slice(end + 2)
        return parseBlock(block)
      }
      const { value, done } = await reader.read()
      if (done && rest !== '') throw new Error(`the stream ends within a block: ${JSON.stringify(rest)}`)
      if (done) return null
      rest += value
    }
  }
  return {
    next,
    async event() {
      for (;;) {
        const block = await next()
        if (block === null || block.kind === 'event') return block
      }
    },
    cancel: () => reader.cancel(),
  }
}

/** A stream read as far as its first event, or its end. What was read is returned as text. */
export async function firstOf(body: ReadableStream<Uint8Array>): Promise<string> {
  const blocks = readBlocks(body)
  const first = await blocks.event()
  await blocks.cancel()
  return first?.data ?? ''
}
