import { send } from './http.ts'
import type { Target } from './lists.ts'
import { connections } from './load.ts'
import { residentBytes } from './processes.ts'
import type { BenchServer } from './server.ts'
import { slope } from './statistics.ts'

const AT_ONCE = 10
const SAMPLES = 60
const WARM_UP = 1 / 3 // of the time: compiled code and database caches fill

export interface MemoryFigure {
  seconds: number
  requests: number
  /** Resident bytes of the serving processes: at the start, after the warm-up, at the end, and the most. */
  start: number
  warm: number
  end: number
  most: number
  /** Bytes a minute after the warm-up, by least squares. */
  growthAMinute: number
}

/** Asks for all targets in turn, on several connections, and watches the memory of the processes that answer. */
export async function measureMemory(
  server: BenchServer,
  targets: readonly Target[],
  seconds: number,
): Promise<MemoryFigure> {
  const agent = connections(AT_ONCE)
  const started = performance.now()
  const until = started + seconds * 1000
  let requests = 0
  const onOneConnection = async () => {
    while (performance.now() < until) {
      const { call } = targets[requests++ % targets.length]!
      const { status } = await send(server.origin, call, agent)
      if (status !== 200) throw new Error(`${call.path} answered ${status}`)
    }
  }
  const samples: { at: number; bytes: number }[] = []
  const watch = async () => {
    while (performance.now() < until) {
      samples.push({ at: performance.now() - started, bytes: residentBytes() })
      await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / SAMPLES))
    }
  }
  await Promise.all([watch(), ...Array.from({ length: AT_ONCE }, onOneConnection)])
  agent.destroy()
  const warm = samples.filter(({ at }) => at >= seconds * 1000 * WARM_UP)
  return {
    ...{ seconds, requests, start: samples[0]!.bytes, warm: warm[0]!.bytes, end: warm.at(-1)!.bytes },
    most: Math.max(...samples.map(({ bytes }) => bytes)),
    growthAMinute: slope(warm.map(({ at, bytes }) => [at / 60_000, bytes])),
  }
}
