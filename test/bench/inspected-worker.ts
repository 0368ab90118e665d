import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BenchServer } from './server.ts'
import { until } from './tenant.ts'

const DATABASES = ['DIRECTORY', 'SHARD_00', 'SHARD_01'] as const

/** The Worker under `wrangler dev`, whose inspector tells what its isolate's heap holds. Not for times: requests pass the proxy. */
export interface InspectedWorker extends Pick<BenchServer, 'origin' | 'operatorToken'> {
  /** What the Worker printed. */
  output(): string
  heap: HeapWatch
  /** Processor time of workerd so far: the Worker's own, and that of the simulated D1, R2 and queues. */
  cpuMs(): number
  close(): Promise<void>
}

export async function startInspectedWorker(root: string): Promise<InspectedWorker> {
  const dir = mkdtempSync(join(tmpdir(), 'harborguard-heap-'))
  const operatorToken = randomBytes(32).toString('base64')
  const rootKeys = { active: 'bench', keys: { bench: randomBytes(32).toString('base64') } }
  const secrets = join(dir, 'secrets.env')
  writeFileSync(secrets, `OPERATOR_TOKEN='${operatorToken}'\nROOT_KEYS='${JSON.stringify(rootKeys)}'\n`, {
    mode: 0o600,
  })
  const persist = ['--persist-to', join(dir, 'state')]
  for (const name of DATABASES) await run(root, ['d1', 'migrations', 'apply', name, '--local', ...persist])
  const [port, inspector] = [await freePort(), await freePort()]
  const child = spawn(
    'wrangler',
    [
      ...['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', String(inspector)],
      ...[...persist, '--env-file', secrets, '--var', 'LOG_QUEUE_COSTS:true'],
      '--show-interactive-dev-session=false',
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1', CI: 'true' } },
  )
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (printed += data))
  const close = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    const origin = new URL(`http://127.0.0.1:${port}`)
    await until('the Worker', async () =>
      (await fetch(new URL('/api/health', origin)).catch(() => null))?.ok ? true : null,
    )
    const heap = await watchHeap(`ws://127.0.0.1:${inspector}/ws`)
    return { origin, operatorToken, heap, cpuMs: () => cpuOf(child.pid!), output: () => printed, close }
  } catch (error) {
    await close()
    throw error
  }
}

const TICK_MS = 10 // of /proc/PID/stat

/** Processor time of a process's descendants named workerd. */
function cpuOf(root: number): number {
  const stats = readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))!
      const fields = rest!.split(' ')
      return [
        { pid: Number(pid), name, parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) },
      ]
    } catch {
      return [] // it ended meanwhile
    }
  })
  const parents = new Map(stats.map(({ pid, parent }) => [pid, parent]))
  const isBelow = (pid: number): boolean => pid === root || (pid > 1 && isBelow(parents.get(pid) ?? 0))
  const ticks = stats.filter(({ pid, name }) => name === 'workerd' && isBelow(pid)).map((stat) => stat.ticks)
  return TICK_MS * ticks.reduce((sum, each) => sum + each, 0)
}

function run(cwd: string, args: string[]): Promise<void> {
  const child = spawn('wrangler', args, { cwd, stdio: 'ignore', env: { ...process.env, CI: 'true' } })
  return new Promise((resolve, reject) =>
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`wrangler ${args.join(' ')}: ${code}`)),
    ),
  )
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

export interface HeapPeak {
  /** Bytes that were reachable, by a collection before the sample. */
  liveBytes: number
  /** Bytes of the heap in use, garbage included. */
  usedBytes: number
  /** Bytes outside of the heap: what typed arrays and streams hold. */
  buffersBytes: number
  samples: number
}

export interface HeapWatch {
  /** Samples until `work` is done. */
  peakDuring<T>(work: () => Promise<T>): Promise<{ result: T; before: HeapPeak; peak: HeapPeak }>
}

interface Usage {
  usedSize: number
  backingStorageSize?: number
}

const COLLECT_EVERY = 10 // samples

async function watchHeap(url: string): Promise<HeapWatch> {
  const socket = new WebSocket(url, { headers: { Origin: 'http://localhost' } } as never)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = () => reject(new Error(`no inspector at ${url}`))
  })
  let calls = 0
  const waiting = new Map<number, (result: unknown) => void>()
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown }
    if (id !== undefined) waiting.get(id)?.(result)
  }
  const call = (method: string) =>
    new Promise<unknown>((resolve) => {
      const id = ++calls
      waiting.set(id, resolve)
      socket.send(JSON.stringify({ id, method }))
    })
  const sample = async (peak: HeapPeak) => {
    const collects = peak.samples++ % COLLECT_EVERY === 0
    if (collects) await call('HeapProfiler.collectGarbage')
    const { usedSize, backingStorageSize = 0 } = (await call('Runtime.getHeapUsage')) as Usage
    if (collects) peak.liveBytes = Math.max(peak.liveBytes, usedSize)
    peak.usedBytes = Math.max(peak.usedBytes, usedSize)
    peak.buffersBytes = Math.max(peak.buffersBytes, backingStorageSize)
  }
  const none = (): HeapPeak => ({ liveBytes: 0, usedBytes: 0, buffersBytes: 0, samples: 0 })
  await call('Runtime.enable')
  await call('HeapProfiler.enable')
  return {
    peakDuring: async (work) => {
      const [before, peak] = [none(), none()]
      await sample(before)
      let isDone = false
      const running = work().finally(() => {
        isDone = true
      })
      while (!isDone) {
        await sample(peak)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return { result: await running, before, peak }
    },
  }
}
