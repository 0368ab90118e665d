/** What a request hears on its socket: something was said, nothing for so long, or the object or the client is gone. */
export type Heard = 'told' | 'quiet' | 'lost' | 'gone'

/** Waits so many milliseconds, or until the signal. Tests give their own. */
export type Timer = (milliseconds: number, signal: AbortSignal) => Promise<void>

export interface LiveSocket {
  /** Waits for the next message, at most so long. Messages that came in the meantime are one. */
  next(milliseconds: number, client: AbortSignal): Promise<Heard>
  say(text: string): void
  close(): void
}

type Upgraded = LiveSocket | 'refused' | 'unreachable'

/** `setTimeout` takes no more than this for certain. */
const LONGEST_WAIT = 60_000

export const realTimer: Timer = (milliseconds, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, Math.min(LONGEST_WAIT, Math.max(0, milliseconds)))
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      done()
    })
  })

/**
 * A socket from a request to a Durable Object, which sleeps between messages and costs nothing then. Never throws: an
 * object that cannot be reached is `unreachable`, one that has no room `refused`.
 */
export async function openSocket(
  object: Pick<Fetcher, 'fetch'>,
  query: [string, string][],
  timer: Timer,
): Promise<Upgraded> {
  try {
    const url = `https://object/?${new URLSearchParams(query)}`
    const { webSocket } = await object.fetch(url, { headers: { Upgrade: 'websocket' } })
    if (!webSocket) return 'refused'
    webSocket.accept()
    return listenTo(webSocket, timer)
  } catch {
    return 'unreachable'
  }
}

function listenTo(socket: WebSocket, timer: Timer): LiveSocket {
  let told = false
  let lost = false
  let wake = () => {}
  const note = (change: () => void) => () => {
    change()
    wake()
  }
  socket.addEventListener(
    'message',
    note(() => (told = true)),
  )
  for (const end of ['close', 'error'] as const)
    socket.addEventListener(
      end,
      note(() => (lost = true)),
    )
  return {
    async next(milliseconds, client) {
      const over = new AbortController()
      const woken = new Promise<void>((done) => {
        wake = done
      })
      client.addEventListener('abort', wake, { signal: over.signal })
      if (!told && !lost && !client.aborted) await Promise.race([woken, timer(milliseconds, over.signal)])
      over.abort()
      if (client.aborted) return 'gone'
      if (told) {
        told = false
        return 'told'
      }
      return lost ? 'lost' : 'quiet'
    },
    say: (text) => attempt(() => socket.send(text)),
    close: () => attempt(() => socket.close(1000, 'done')),
  }
}

/** A socket that has closed already has nobody to tell. */
function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // closed
  }
}
