import { DurableObject } from 'cloudflare:workers'

/** Streams of scans that an organization may have open at one time. */
export const MAX_STREAMS = 100

/**
 * Wakes the streams that show an organization's scans, and bounds their number. It knows ids and nothing else: what a
 * scan's progress is, a stream reads from its row. It sleeps while nothing changes; losing it only delays a stream.
 */
export class ScanViewers extends DurableObject {
  /** Opens a socket that is told of changes to the scans and jobs named `id`; 429 where there are enough. */
  override fetch(request: Request): Response {
    if (this.open() >= MAX_STREAMS) return new Response(null, { status: 429 })
    const [theirs, ours] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(ours!, new URL(request.url).searchParams.getAll('id'))
    return new Response(null, { status: 101, webSocket: theirs! })
  }

  /** Streams that are open. */
  open(): number {
    return this.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN).length
  }

  /** These scans and jobs changed: each stream that shows one of them is told once. */
  changed(ids: readonly string[]): void {
    const sockets = new Set(ids.flatMap((id) => this.ctx.getWebSockets(id)))
    for (const socket of sockets) if (socket.readyState === WebSocket.OPEN) socket.send('changed')
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close(1000)
  }
}
