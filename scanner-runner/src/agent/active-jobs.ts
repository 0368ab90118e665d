import type { HeartbeatReply, HeartbeatRequest, JobProgress } from '../../../src/scanning/sensors/protocol.ts'
import { JobStopped, type StopKind } from '../job/job-stopped.ts'

interface ActiveJob {
  id: string
  fence: number
  stop: AbortController
  progress: () => JobProgress
  done: Promise<void>
}

/** The jobs in hand, by id. Stopping one lets it end in its own way; it leaves the list when it has. */
export interface ActiveJobs {
  size(): number
  get(id: string): ActiveJob | undefined
  add(job: ActiveJob): void
  stop(id: string, kind: StopKind): void
  stopAll(kind: StopKind): void
  /** Settles when the next job ends; never while there is none. */
  nextEnd(): Promise<void>
  /** Settles when every job in hand has ended. */
  ended(): Promise<void>
  /** What a heartbeat says about them. */
  describe(): HeartbeatRequest['jobs']
  /** Obeys a heartbeat's reply: a lost lease and a cancellation end the job at once. */
  obey(reply: HeartbeatReply): void
}

export function createActiveJobs(): ActiveJobs {
  const jobs = new Map<string, ActiveJob>()
  const stop = (id: string, kind: StopKind) => jobs.get(id)?.stop.abort(new JobStopped(kind))
  return {
    size: () => jobs.size,
    get: (id) => jobs.get(id),
    add(job) {
      jobs.set(job.id, job)
      job.done.finally(() => {
        if (jobs.get(job.id) === job) jobs.delete(job.id)
      })
    },
    stop,
    stopAll(kind) {
      for (const id of jobs.keys()) stop(id, kind)
    },
    nextEnd: () => Promise.race([...jobs.values()].map((job) => job.done)),
    async ended() {
      await Promise.allSettled([...jobs.values()].map((job) => job.done))
    },
    describe: () =>
      [...jobs.values()].map(({ id, fence, progress }) => ({ id, fence, progress: progress() })),
    obey(reply) {
      for (const { id, leaseSeconds, cancel } of reply.jobs) {
        if (cancel) stop(id, 'cancelled')
        else if (leaseSeconds === 0) stop(id, 'lease_lost')
      }
    },
  }
}
