import { type Agent, type IncomingHttpHeaders, request } from 'node:http'

const TIMEOUT_MS = 60_000 // far above the slowest ingest; a hang ends the run

export interface Call {
  /** Chooses the Worker. */
  host: string
  method?: string
  path: string
  headers?: Record<string, string>
  body?: string | Buffer
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** Milliseconds from sending to the last byte. */
  ms: number
}

/** One request over the agent's connections, read to its end. Rejects when it is not answered. */
export function send(origin: URL, call: Call, agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const outgoing = request(
      {
        ...{ host: origin.hostname, port: origin.port, path: call.path, method: call.method ?? 'GET', agent },
        headers: {
          ...call.headers,
          Host: call.host,
          ...(call.body !== undefined && { 'Content-Length': Buffer.byteLength(call.body) }),
        },
        timeout: TIMEOUT_MS,
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode!,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString(),
            ms: performance.now() - started,
          }),
        )
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${call.path} was not answered in time`)))
    outgoing.on('error', reject)
    outgoing.end(call.body)
  })
}

/** What the Worker says that a request cost, while it is metered. */
export interface Cost {
  roundTrips: number
  rowsRead: number
  rowsWritten: number
  /** Whole milliseconds from the Worker's entry to its reply: everything but the network. */
  ms: number
}

/** Throws where the Worker does not say it. */
export function costOf({ headers }: Answer): Cost {
  const timing = String(headers['server-timing'])
  const said = /trips=(\d+) read=(\d+) written=(\d+)".*app;dur=(\d+)/.exec(timing)?.slice(1).map(Number)
  if (!said) throw new Error(`the Worker does not say what a request cost: ${timing}`)
  const [roundTrips, rowsRead, rowsWritten, ms] = said as [number, number, number, number]
  return { roundTrips, rowsRead, rowsWritten, ms }
}
