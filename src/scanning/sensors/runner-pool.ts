import { DurableObject } from 'cloudflare:workers'

const HINT_MILLISECONDS = 10 * 60_000 // a hint older than this is worth no more than the rotation
const MAX_HINTS = 100 // shards of a pool
const MAX_WAITERS = 1000 // polls that wait at one time; a further one is answered at once
const MAX_PASSES = 20 // polls that may find nothing they can run behind one announcement, until it is forgotten
const ON_THE_WAY = 1000 // ms; longer than a poll takes from its claim to its place in the line

/** What a poll on its way or in the line knows of itself, kept while the object sleeps. */
interface Waiter {
  since: number
  /** The announcement that it looks after now. */
  turn: Turn | null
}

interface Turn {
  passes: number
  /** There may be more jobs behind the first. */
  more: boolean
}

/**
 * Hints, never the truth, for one pool of runners ("cloud", or a registry's id): which shards have claimable work, and
 * the line of polls that wait for some. An announcement wakes the poll that waited longest; where that finds nothing,
 * or leaves, the next. Without the object a poll asks shards in rotation, and waits for nothing.
 */
export class RunnerPool extends DurableObject {
  private readonly shards = new Map<string, number>()
  /** When work was last announced that nobody waited for: a poll may have looked just before and be on its way. */
  private missedAt = 0

  /** Work was made claimable in `shard`: one job, or `more`. */
  announce(shard: string, now: number, more = false): void {
    this.shards.delete(shard)
    this.shards.set(shard, now)
    if (this.shards.size > MAX_HINTS) this.shards.delete(this.shards.keys().next().value!)
    if (!this.wake({ passes: MAX_PASSES, more })) this.missedAt = Date.now()
  }

  /** Shards that may have work, the longest waiting first. */
  hints(now: number): string[] {
    for (const [shard, at] of this.shards) if (at < now - HINT_MILLISECONDS) this.shards.delete(shard)
    return [...this.shards.keys()]
  }

  /** A poll found nothing in `shard`. */
  exhausted(shard: string): void {
    this.shards.delete(shard)
  }

  /** Polls that wait. */
  waiting(): number {
    return this.line().length
  }

  /** An agent waits no more: its polls in the line are answered. */
  leave(agentId: string): void {
    for (const socket of this.ctx.getWebSockets(agentId)) socket.close(1000)
  }

  /**
   * Puts the poll of an agent, whose claim began `ago` milliseconds ago, into the line; 503 where that is long enough.
   * An older poll of the agent, whose client may be gone, leaves.
   */
  override fetch(request: Request): Response {
    if (this.line().length >= MAX_WAITERS) return new Response(null, { status: 503 })
    const { searchParams } = new URL(request.url)
    const ago = Number(searchParams.get('ago')) || 0
    const agentId = searchParams.get('agent') ?? ''
    this.leave(agentId)
    const [theirs, ours] = Object.values(new WebSocketPair())
    this.ctx.acceptWebSocket(ours!, [agentId])
    note(ours!, { since: Date.now(), turn: null })
    if (this.missedAt > 0 && this.missedAt >= Date.now() - ago - ON_THE_WAY) {
      this.missedAt = 0
      this.wake({ passes: MAX_PASSES, more: false })
    }
    return new Response(null, { status: 101, webSocket: theirs! })
  }

  /** What a woken poll found: `job` or `none`. The one that found none goes back to the end of the line. */
  override webSocketMessage(socket: WebSocket, found: string | ArrayBuffer): void {
    const { turn } = noted(socket)
    note(socket, { since: Date.now(), turn: null })
    if (!turn) return
    if (found === 'none' && turn.passes > 0) this.wake({ ...turn, passes: turn.passes - 1 }, socket)
    if (found === 'job' && turn.more) this.wake({ ...turn, passes: MAX_PASSES }, socket)
  }

  /** A woken poll that leaves without a word leaves its job to the next, or to one that is on its way. */
  override webSocketClose(socket: WebSocket): void {
    const { turn } = noted(socket)
    if (turn && !this.wake(turn, socket)) this.missedAt = Date.now()
    socket.close(1000)
  }

  private line(except?: WebSocket): WebSocket[] {
    return this.ctx
      .getWebSockets()
      .filter(
        (socket) => socket !== except && socket.readyState === WebSocket.OPEN && noted(socket).turn === null,
      )
  }

  /** Wakes the poll that waited longest. False where none waits. */
  private wake(turn: Turn, except?: WebSocket): boolean {
    const line = this.line(except)
    if (line.length === 0) return false
    const first = line.reduce((one, other) => (noted(other).since < noted(one).since ? other : one))
    note(first, { ...noted(first), turn })
    first.send('work')
    return true
  }
}

const noted = (socket: WebSocket): Waiter => socket.deserializeAttachment() as Waiter
const note = (socket: WebSocket, waiter: Waiter): void => socket.serializeAttachment(waiter)
