import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { type Serving, serveMetrics } from './serve-metrics.ts'

export type Served = Awaited<ReturnType<typeof serveMetrics>>

/**
 * Serves metrics and health on loopback, where the configuration has a port for them. One that the environment names
 * and that is taken is `refused`; the usual one may belong to another runner of this machine, and is done without.
 */
export async function startMetrics(
  { metrics: wanted }: Config,
  serving: Omit<Serving, 'port'>,
  log: Log,
): Promise<Served | 'refused' | null> {
  if (!wanted) return null
  try {
    const served = await serveMetrics({ ...serving, port: wanted.port })
    log.info('metrics_served', { port: served.port })
    return served
  } catch (error) {
    log[wanted.isChosen ? 'error' : 'warn']('metrics_port_unusable', { port: wanted.port, error })
    return wanted.isChosen ? 'refused' : null
  }
}
