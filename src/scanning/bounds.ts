const MINUTE = 60_000

/** How long a scan may wait for a runner before it ends with `no_runner`. */
export const UNCLAIMED_LIMIT = 24 * 60 * MINUTE
/** How long a scan may take from its first claim before it ends with `timeout`. */
export const RUNNING_LIMIT = 60 * MINUTE
/** How long a queued job waits for the best runner before any that offers one of its engines may take it. */
export const BEST_RUNNER_WAIT = 5 * MINUTE
/** Scans that may share one job. The next one gets a job of its own. */
export const MAX_FOLLOWERS = 100
/** A runner that was not heard of for longer offers nothing. */
export const LIVENESS = 2 * MINUTE
/** How long a sensor may be silent after it registered: it downloads its databases. */
export const WARM_UP = 5 * MINUTE
