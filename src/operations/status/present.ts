import type { z } from '@hono/zod-openapi'
import type { Backlog } from '../../db/backlog.ts'
import { assess } from './assess.ts'
import type { Facts, Reached } from './facts.ts'
import type { OperatorStatus } from './schemas.ts'

/** Everything that a look found, with the reasons for the state. */
export function presentStatus(facts: Facts): z.output<typeof OperatorStatus> {
  const { state, reasons } = assess(facts)
  const { runners, cron } = facts
  return {
    status: state,
    checkedAt: time(facts.at)!,
    reasons,
    directory: presentReached(facts.directory),
    runners: runners && {
      alive: runners.alive,
      versions: runners.versions,
      lastHeartbeatAt: time(runners.lastHeartbeatAt),
    },
    cron: cron && { ranAt: time(cron.ranAt), ms: cron.ms, failures: cron.failures, failed: cron.failed },
    shards: facts.shards.map((shard) => ({
      ...presentReached(shard),
      backlogs: shard.backlogs && mapValues(shard.backlogs, presentBacklog),
      sensorQueues: shard.sensorQueues.map(({ pool, oldestAt }) => ({
        pool,
        oldestAt: time(oldestAt),
      })),
    })),
  }
}

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

const presentReached = ({ name, ms, error }: Reached) => ({ name, reachable: error === null, ms, error })

const presentBacklog = ({ count, isAtLeast, oldestAt }: Backlog) => ({
  count,
  isAtLeast,
  oldestAt: time(oldestAt),
})

const mapValues = <A, B>(record: Record<string, A>, map: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
