import type { BacklogName, Facts, ShardFacts } from './facts.ts'

export type State = 'ok' | 'degraded' | 'down'

/** Why the service is not simply well. A notice is for operators and changes no state. */
export interface Reason {
  code: string
  severity: 'notice' | 'degraded' | 'down'
  /** "directory", a shard, or "service". */
  where: string
  message: string
}

const MINUTE = 60_000

export const SLOW_ANSWER = 1000 // ms; fifty times what an answer takes beside its database
export const CRON_LATE = 5 * MINUTE // five missed runs
export const RUNNERS_MISSED = 3 * MINUTE // a job that waits so long without a live runner was not bad luck

interface Limit {
  code: string
  /** How old the oldest may be, in ms. */
  age: number
  says: string
  severity?: 'notice'
}

/** What is too old in a shard, and why then. */
export const LIMITS: Record<BacklogName, Limit> = {
  // Five retries, 300 seconds apart at most: then a message is dead and its promise gone.
  outbox: { code: 'outbox_old', age: 30 * MINUTE, says: 'a promised message is not handled' },
  // A free runner claims within seconds and a scan takes minutes: the fleet is too small, or stands.
  cloudQueue: { code: 'queue_old', age: 15 * MINUTE, says: 'a job waits for a cloud runner' },
  // Ten minutes until the sweep asks for the ingest again, and five for that one.
  uploads: { code: 'uploads_stuck', age: 15 * MINUTE, says: 'a result is not ingested' },
  // The sweep takes them back every minute.
  expiredLeases: { code: 'leases_expired', age: 3 * MINUTE, says: 'a lease ran out and is not taken back' },
  overdueScans: { code: 'scans_overdue', age: 5 * MINUTE, says: 'a scan is past its bound and did not end' },
  // What it was about ended with a reason; whether to replay it is for an operator to say.
  deadLetters: { code: 'dead_letters', age: 0, says: 'a dead letter is not replayed', severity: 'notice' },
}

/** The state of the service and every reason for it. Pure: the same facts are the same state. */
export function assess(facts: Facts): { state: State; reasons: Reason[] } {
  const reasons = [
    ...reachability(facts),
    ...cron(facts),
    ...runners(facts),
    ...facts.shards.flatMap((shard) => backlogs(shard, facts.at)),
  ]
  const has = (severity: Reason['severity']) => reasons.some((reason) => reason.severity === severity)
  return { state: has('down') ? 'down' : has('degraded') ? 'degraded' : 'ok', reasons }
}

/** Without the directory nobody enters; without a shard its organizations find nothing, and without any nobody does. */
function reachability({ directory, shards }: Facts): Reason[] {
  const lost = shards.filter(({ error }) => error !== null)
  const all = lost.length === shards.length
  return [directory, ...shards].flatMap((database): Reason[] => {
    const { name: where, ms, error } = database
    if (error !== null) {
      const severity = database === directory || all ? 'down' : 'degraded'
      return [{ code: 'database_unreachable', severity, where, message: error }]
    }
    if (ms <= SLOW_ANSWER) return []
    const message = `an answer took ${ms} ms (limit ${SLOW_ANSWER} ms)`
    return [{ code: 'database_slow', severity: 'degraded', where, message }]
  })
}

function cron({ at, directory, cron }: Facts): Reason[] {
  if (directory.error !== null) return []
  if (!cron) {
    const message =
      'the sweeps never ran: the cron trigger is missing, or this deployment is younger than a minute'
    return [{ code: 'cron_never_ran', severity: 'degraded', where: 'service', message }]
  }
  const late: Reason[] = isOlder(cron.ranAt, CRON_LATE, at)
    ? [reasonOf('cron_late', 'service', 'the sweeps do not run', at - cron.ranAt, CRON_LATE)]
    : []
  if (cron.failures === 0) return late
  const message = `${cron.failures} failed: ${cron.failed.join('; ')}`
  return [...late, { code: 'sweeps_failed', severity: 'notice', where: 'service', message }]
}

/** Jobs of the cloud pool wait and nobody is there to take them. Without jobs a fleet may be empty. */
function runners({ at, runners, shards }: Facts): Reason[] {
  if (!runners || runners.alive > 0) return []
  const oldest = shards.flatMap(({ backlogs }) => backlogs?.cloudQueue.oldestAt ?? [])
  const since = Math.min(...oldest)
  if (!isOlder(since, RUNNERS_MISSED, at)) return []
  return [
    reasonOf('no_runners', 'service', 'jobs wait and no cloud runner lives', at - since, RUNNERS_MISSED),
  ]
}

const backlogs = ({ name, backlogs }: ShardFacts, at: number): Reason[] =>
  Object.entries(backlogs ?? {}).flatMap(([backlog, { count, isAtLeast, oldestAt }]) => {
    const { code, age, says, severity = 'degraded' } = LIMITS[backlog as BacklogName]
    if (oldestAt === null || !isOlder(oldestAt, age, at)) return []
    const waiting = `; ${isAtLeast ? 'at least ' : ''}${count} in all`
    const { message, ...reason } = reasonOf(code, name, says, at - oldestAt, age)
    return [{ ...reason, severity, message: message + waiting }]
  })

const isOlder = (since: number, limit: number, at: number): boolean => at - since > limit

const reasonOf = (code: string, where: string, says: string, age: number, limit: number): Reason => ({
  code,
  severity: 'degraded',
  where,
  message: `${says} for ${minutes(age)} (limit ${minutes(limit)})`,
})

const minutes = (ms: number): string => `${Math.floor(ms / MINUTE)} minutes`
