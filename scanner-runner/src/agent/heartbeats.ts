import type { Log } from '../log.ts'

export interface Heartbeats {
  /** Something moved: the next beat comes early, but never sooner than `minGapMs` after the last. */
  nudge(): void
  stop(): void
}

interface Options {
  intervalMs: number
  minGapMs: number
  /** After a beat that failed. */
  retryMs: number
  beat: () => Promise<void>
  log: Log
}

/** Beats until stopped: every `intervalMs`, earlier when nudged, one at a time. Failures are logged when they begin. */
export function startHeartbeats(options: Options): Heartbeats {
  let timer: NodeJS.Timeout | null = null
  let lastAt = Date.now()
  let dueAt = lastAt + options.intervalMs
  let beating = false
  let nudged = false
  let failing = false
  let stopped = false

  const schedule = (at: number) => {
    if (stopped || beating) return
    if (timer) clearTimeout(timer)
    dueAt = at
    timer = setTimeout(run, Math.max(0, at - Date.now()))
  }
  async function run() {
    beating = true
    nudged = false
    lastAt = Date.now()
    try {
      await options.beat()
      if (failing) options.log.info('heartbeat_recovered')
      failing = false
    } catch (error) {
      if (!failing && !stopped) options.log.warn('heartbeat_failed', { error })
      failing = true
    }
    beating = false
    const gap = nudged ? options.minGapMs : failing ? options.retryMs : options.intervalMs
    schedule(lastAt + gap)
  }
  schedule(dueAt)
  return {
    nudge() {
      nudged = true
      const at = lastAt + options.minGapMs
      if (at < dueAt) schedule(at)
    },
    stop() {
      stopped = true
      if (timer) clearTimeout(timer)
    },
  }
}
