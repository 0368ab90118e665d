import type { Env } from '../env.ts'

/** One data point of Analytics Engine; nothing where it is not bound, and its failure harms nothing. */
export function writeDataPoint(env: Env, point: AnalyticsEngineDataPoint): void {
  try {
    env.METRICS?.writeDataPoint(point)
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', event: 'data_point_failed', error: String(error) }))
  }
}
