import type { Context } from '../../context.ts'
import { type LiveSocket, openSocket, realTimer, type Timer } from '../../db/live-socket.ts'
import { scanViewers } from '../../db/objects.ts'
import { problem } from '../../http/problems.ts'
import {
  ALIVE_BLOCK,
  type EventId,
  eventBlock,
  markOf,
  nextId,
  parseEventId,
  RETRY_BLOCK,
  STREAM_HEADERS,
} from './event-stream.ts'
import { readScanProgress, type ScanProgress } from './read.ts'

const LOOK_MS = 15_000 // between looks at the row while nobody says that it changed; each sends a line
const LIFETIME_MS = 5 * 60_000 // then the client asks again, with its key
const MAX_LOOKS = 400 // in that time: more changes than a scan has

export interface Watching {
  scanId: string
  /** What the client saw last. */
  lastEventId: string | null
  /** The client went away. */
  client: AbortSignal
  /** Only the headers are asked for. */
  isHead?: boolean
}

interface Clock {
  now(): number
  timer: Timer
}

const REAL_CLOCK: Clock = { now: () => Date.now(), timer: realTimer }

/**
 * A scan's status as events, until it has ended: the row is read again when somebody says that it changed, and every
 * 15 s. A client that saw the end is answered 204. Throws NOT_FOUND, and RATE_LIMITED where the organization has
 * enough streams.
 */
export async function streamScan(ctx: Context, watching: Watching, clock = REAL_CLOCK): Promise<Response> {
  const { progress, jobId } = await readScanProgress(ctx, watching.scanId)
  const seen = parseEventId(watching.lastEventId, clock.now())
  if (hasEnded(progress)) {
    const isSeen = seen?.mark === (await markOf(JSON.stringify(progress)))
    if (isSeen) return new Response(null, { status: 204 })
  }
  if (watching.isHead) return new Response(null, { headers: STREAM_HEADERS })
  const viewer = viewerOf(ctx, watching.scanId, clock.timer)
  if (!hasEnded(progress)) await viewer.attend(jobId)
  const cancelled = new AbortController()
  const gone = AbortSignal.any([watching.client, cancelled.signal])
  const body = asBytes(blocks(ctx, watching.scanId, viewer, seen, clock, gone), () => {
    cancelled.abort()
    viewer.close()
  })
  return new Response(body, { headers: STREAM_HEADERS })
}

/** The blocks of a stream. Ends with the scan, with the client, and after five minutes. */
async function* blocks(
  ctx: Context,
  scanId: string,
  viewer: Viewer,
  seen: EventId | null,
  clock: Clock,
  client: AbortSignal,
): AsyncGenerator<string> {
  yield RETRY_BLOCK
  const until = clock.now() + LIFETIME_MS
  let last = seen
  for (let looks = 0; looks < MAX_LOOKS && clock.now() < until; looks++) {
    const { progress, jobId } = await readScanProgress(ctx, scanId)
    const state = JSON.stringify(progress)
    const mark = await markOf(state)
    if (mark !== last?.mark) {
      last = nextId(last, mark, clock.now())
      yield eventBlock(last, hasEnded(progress) ? 'end' : 'progress', state)
    } else if (looks > 0) yield ALIVE_BLOCK
    if (hasEnded(progress)) return
    if (await viewer.attend(jobId)) continue // what changed before it listened is looked at first
    if ((await viewer.next(Math.min(LOOK_MS, until - clock.now()), client)) === 'gone') return
  }
}

const hasEnded = ({ phase }: ScanProgress): boolean => phase === 'done'

interface Viewer {
  /** Listens for changes of the scan and of this job. True when it did not before. Throws RATE_LIMITED. */
  attend(jobId: string | null): Promise<boolean>
  next: LiveSocket['next']
  close(): void
}

/** The socket of a stream. Without one, and while it cannot be had, `next` only waits. */
function viewerOf(ctx: Context, scanId: string, timer: Timer): Viewer {
  let socket: LiveSocket | null = null
  let attended: string | null = null
  const close = () => {
    socket?.close()
    socket = null
  }
  return {
    close,
    async attend(jobId) {
      const ids = [...new Set([scanId, jobId ?? scanId])]
      if (attended === ids.join()) return false
      close()
      const opened = await openSocket(
        scanViewers(ctx.env, ctx.organization.num),
        ids.map((id) => ['id', id]),
        timer,
      )
      if (opened === 'refused')
        throw problem('RATE_LIMITED', 'Too many streams are open', { headers: { 'Retry-After': '15' } })
      if (opened === 'unreachable') return false
      attended = ids.join()
      socket = opened
      return true
    },
    async next(milliseconds, client) {
      const heard = socket
        ? await socket.next(milliseconds, client)
        : await pause(timer, milliseconds, client)
      if (heard !== 'lost') return heard
      close()
      attended = null
      return pause(timer, milliseconds, client)
    },
  }
}

async function pause(timer: Timer, milliseconds: number, client: AbortSignal): Promise<'quiet' | 'gone'> {
  await timer(milliseconds, client)
  return client.aborted ? 'gone' : 'quiet'
}

/** One block for each pull, so that nothing is read that nobody takes. A failure ends the stream: the client resumes. */
function asBytes(blocks: AsyncGenerator<string>, close: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { value, done } = await blocks.next().catch(() => ({ value: undefined, done: true as const }))
        if (value !== undefined) return controller.enqueue(encoder.encode(value))
        if (done) {
          close()
          controller.close()
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  )
}
