import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Health } from '../agent/work-directory.ts'
import { CONTENT_TYPE } from './exposition.ts'

const LOOPBACK = '127.0.0.1' // who may look is who is on this machine, or in its network namespace
const MAX_CONNECTIONS = 16
const TIMEOUT_MS = 5000 // of one request

export interface Serving {
  port: number
  metrics: () => string
  health: () => Health
}

/**
 * Serves `GET /metrics` and `GET /healthz` on loopback until closed, without keeping the process alive. Rejects when
 * the port cannot be had.
 */
export async function serveMetrics(serving: Serving): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer(
    { requestTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS },
    (request, response) => answer(serving, request, response),
  )
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen(serving.port, LOOPBACK, () => done())
  })
  server.unref()
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : serving.port,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

function answer(
  { metrics, health }: Serving,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): void {
  const send = (status: number, type: string, body: string) =>
    response
      .writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
      .end(method === 'HEAD' ? '' : body)
  const path = url?.split('?')[0]
  if (path !== '/metrics' && path !== '/healthz') return void send(404, 'text/plain', 'not here\n')
  if (method !== 'GET' && method !== 'HEAD') return void send(405, 'text/plain', 'only GET\n')
  if (path === '/metrics') return void send(200, CONTENT_TYPE, metrics())
  const said = health()
  send(said.healthy ? 200 : 503, 'application/json', `${JSON.stringify(said)}\n`)
}
