import { createServer } from 'node:net'

/** Whether nothing listens on this loopback port. */
export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The first free port from `preferred` on; at most 50 are tried. */
export async function freePort(preferred: number): Promise<number> {
  for (let port = preferred; port < preferred + 50; port++) if (await portIsFree(port)) return port
  throw new Error(`no free port between ${preferred} and ${preferred + 49}`)
}
