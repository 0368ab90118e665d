import { chmod, mkdir, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'

// Relative: the path of a Unix socket has at most 107 bytes, and a work directory may lie deep.
const SOCKET = 'runner.sock'
const ANSWER_MS = 2000

/** What a health check is told. `lastContactSeconds` is null before the first answer of the server. */
export interface Health {
  healthy: boolean
  lastContactSeconds: number | null
}

class WorkDirectoryInUse extends Error {
  override name = 'WorkDirectoryInUse'
}

/**
 * Makes the work directory the process's own: enters it and listens on a socket in it, which also answers health
 * checks. Rejects with WorkDirectoryInUse while another runner lives there; a dead one's socket is taken over.
 */
export async function holdWorkDirectory(
  workDir: string,
  health: () => Health,
): Promise<{ release(): Promise<void> }> {
  await mkdir(workDir, { recursive: true, mode: 0o700 })
  process.chdir(workDir)
  if ((await askHealth()) !== null) throw new WorkDirectoryInUse(`another runner uses ${workDir}`)
  await rm(SOCKET, { force: true })
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(`${JSON.stringify(health())}\n`)
  })
  await listen(server)
  await chmod(SOCKET, 0o600)
  server.unref()
  return {
    async release() {
      await new Promise<void>((done) => server.close(() => done()))
      await rm(SOCKET, { force: true })
    },
  }
}

const listen = (server: Server): Promise<void> =>
  new Promise((done, fail) => {
    server.once('error', fail)
    server.listen(SOCKET, () => done())
  })

/** What the runner of the current directory says about itself, or null when none answers. */
export function askHealth(): Promise<Health | null> {
  return new Promise((done) => {
    let text = ''
    const socket = connect(SOCKET)
    const finish = (health: Health | null) => {
      socket.destroy()
      done(health)
    }
    socket.setTimeout(ANSWER_MS, () => finish(null))
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8')
    })
    socket.on('error', () => finish(null))
    socket.on('end', () => finish(parse(text)))
  })
}

function parse(text: string): Health | null {
  try {
    return JSON.parse(text) as Health
  } catch {
    return null
  }
}
