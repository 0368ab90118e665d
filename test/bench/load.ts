import { Agent } from 'node:http'
import { type Call, send } from './http.ts'
import type { Sample } from './statistics.ts'

/** Connections that stay open from round to round. */
export const connections = (number: number): Agent => new Agent({ keepAlive: true, maxSockets: number })

/**
 * Sends one request after another on each of the agent's connections until the time is over; those under way are
 * awaited and count. Rejects at the first answer that is not 200.
 */
export async function load(origin: URL, call: Call, agent: Agent, durationMs: number): Promise<Sample> {
  const latencies: number[] = []
  const started = performance.now()
  const onOneConnection = async () => {
    while (performance.now() - started < durationMs) {
      const answer = await send(origin, call, agent)
      if (answer.status !== 200)
        throw new Error(`${call.path} answered ${answer.status}: ${answer.text.slice(0, 300)}`)
      latencies.push(answer.ms)
    }
  }
  await Promise.all(Array.from({ length: agent.maxSockets }, onOneConnection))
  return { latencies, elapsedMs: performance.now() - started }
}
