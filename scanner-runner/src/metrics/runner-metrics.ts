import { ENGINES, type EngineRun } from '../../../src/scanning/sensors/protocol.ts'
import { RUNNER_VERSION } from '../version.ts'
import { counter, exposition, gauge, histogram } from './exposition.ts'

/** How a job ended: by its result, or why it has none. */
export const JOB_OUTCOMES = [
  ...['success', 'partial', 'failed'],
  ...['cancelled', 'released', 'timeout', 'lease_lost', 'error'],
] as const
export type JobOutcome =
  | 'success'
  | 'partial'
  | 'failed'
  | 'cancelled'
  | 'released'
  | 'timeout'
  | 'lease_lost'
  | 'error'

const ENGINE_STATUSES = ['succeeded', 'failed', 'unavailable', 'skipped'] as const
const JOB_BOUNDS = [1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1200, 1800, 3600] // seconds; a scan ends within an hour
const ENGINE_BOUNDS = [0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600] // seconds

/** What is only known when it is asked for. */
export interface Readings {
  /** Jobs in hand. */
  activeJobs(): number
  /** When the server answered last, in milliseconds; null before the first time. */
  lastContact(): number | null
}

export interface RunnerMetrics {
  jobEnded(outcome: JobOutcome, seconds: number): void
  engineRuns(runs: readonly EngineRun[]): void
  pulled(bytes: number): void
  pollFailed(): void
  heartbeatFailed(): void
  /** The text that a scrape is answered with. Labels are closed sets: no image, no id, no secret is in it. */
  text(): string
}

const NAME = 'harborguard_runner'

export function createRunnerMetrics({ activeJobs, lastContact }: Readings, now = Date.now): RunnerMetrics {
  const startedAt = now()
  const builds = new Map<string, number>()
  const jobs = counter(
    `${NAME}_jobs_total`,
    'Jobs that ended, by how.',
    JOB_OUTCOMES.map((outcome) => ({ outcome })),
  )
  const jobSeconds = histogram(
    `${NAME}_job_duration_seconds`,
    'From the lease of a job to its end.',
    JOB_BOUNDS,
  )
  const engines = counter(
    `${NAME}_engine_runs_total`,
    'Engines in results, by how they ended.',
    ENGINES.flatMap((engine) => ENGINE_STATUSES.map((status) => ({ engine, status }))),
  )
  const engineSeconds = histogram(`${NAME}_engine_duration_seconds`, 'Runs of an engine.', ENGINE_BOUNDS)
  const lost = counter(
    `${NAME}_leases_lost_total`,
    'Jobs that went to another runner while this one had them.',
  )
  const pollErrors = counter(`${NAME}_poll_errors_total`, 'Polls that the server did not answer, or refused.')
  const beatErrors = counter(`${NAME}_heartbeat_errors_total`, 'Heartbeats that the server did not answer.')
  const bytes = counter(`${NAME}_pulled_bytes_total`, 'Compressed layers of the images pulled.')
  const metrics = [
    gauge(`${NAME}_build_info`, 'The version that runs.', () => [
      [{ version: RUNNER_VERSION, node: process.versions.node }, 1],
    ]),
    ...[jobs, jobSeconds, engines, engineSeconds, lost, pollErrors, beatErrors, bytes],
    gauge(`${NAME}_jobs_active`, 'Jobs in hand.', () => [[{}, activeJobs()]]),
    gauge(`${NAME}_last_contact_timestamp_seconds`, 'When the server answered last.', () => {
      const at = lastContact()
      return at === null ? [] : [[{}, at / 1000]]
    }),
    gauge(`${NAME}_database_age_seconds`, "Age of the database of an engine's last run.", () =>
      [...builds].map(([engine, builtAt]) => [{ engine }, (now() - builtAt) / 1000]),
    ),
    gauge('process_resident_memory_bytes', 'Memory of the runner itself.', () => [
      [{}, process.memoryUsage.rss()],
    ]),
    gauge('process_start_time_seconds', 'When it began.', () => [[{}, startedAt / 1000]]),
  ]
  return {
    jobEnded(outcome, seconds) {
      jobs.add({ outcome })
      jobSeconds.observe({}, seconds)
      if (outcome === 'lease_lost') lost.add({})
    },
    engineRuns(runs) {
      for (const { name: engine, status, durationMs, database } of runs) {
        engines.add({ engine, status })
        if (durationMs !== null) engineSeconds.observe({ engine }, durationMs / 1000)
        if (database) builds.set(engine, Date.parse(database.builtAt))
      }
    },
    pulled: (more) => bytes.add({}, more),
    pollFailed: () => pollErrors.add({}),
    heartbeatFailed: () => beatErrors.add({}),
    text: () => exposition(metrics),
  }
}
