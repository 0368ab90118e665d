import { type Backlog, backlogOf, presentBacklog } from '../../db/backlog.ts'
import { type CronRun, EVERY_MINUTE_RUN, lastRun, presentRun } from '../../db/cron-runs.ts'
import type { Database, Meter, Statement, StatementResult } from '../../db/database.ts'
import { UNREPLAYED } from '../../db/dead-letters.ts'
import { PROMISED } from '../../db/outbox.ts'
import { directoryDb, placedDb, shardNames } from '../../db/shards.ts'
import type { Env } from '../../env.ts'
import {
  CLOUD_QUEUE,
  cloudRunners,
  expiredLeases,
  overdueScans,
  SENSOR_QUEUES,
  UPLOADS,
} from '../../scanning/backlogs.ts'

/** How long a database may take to answer before it counts as unreachable, in ms: a request would have failed. */
export const ANSWER_LIMIT = 2000

/** What can wait in a shard. */
export type BacklogName =
  | 'outbox'
  | 'cloudQueue'
  | 'uploads'
  | 'expiredLeases'
  | 'overdueScans'
  | 'deadLetters'

/** One look at a database. `ms` is how long its answer took. */
export interface Reached {
  name: string
  ms: number
  error: string | null
}

export interface ShardFacts extends Reached {
  /** Null where the shard did not answer. */
  backlogs: Record<BacklogName, Backlog> | null
  sensorQueues: { pool: string; oldestAt: number }[]
}

export interface Facts {
  at: number
  directory: Reached
  /** Live cloud runners; null where the directory did not answer. */
  runners: { alive: number; versions: Record<string, number>; lastHeartbeatAt: number | null } | null
  cron: CronRun | null
  shards: ShardFacts[]
}

/**
 * One look at every database, side by side: a round trip each, by index seeks, at most 501 rows a backlog. It ends
 * within `limit` ms whatever they do, and never throws.
 */
export async function gatherFacts(env: Env, now: number, meter: Meter, limit = ANSWER_LIMIT): Promise<Facts> {
  const [[directory, results], ...shards] = await Promise.all([
    ask('directory', () => directoryDb(env, meter), [lastRun(EVERY_MINUTE_RUN), ...cloudRunners(now)], limit),
    ...shardNames(env).map((name) => shardFacts(env, name, now, meter, limit)),
  ])
  const [cron, versions, newest] = (results ?? []).map(({ rows }) => rows)
  return {
    at: now,
    directory,
    runners: versions && newest ? runnersOf(versions, newest) : null,
    cron: presentRun(cron?.[0]),
    shards,
  }
}

function runnersOf(rows: Record<string, unknown>[], newest: Record<string, unknown>[]) {
  const versions = Object.fromEntries(rows.map(({ version, alive }) => [String(version), Number(alive)]))
  const alive = Object.values(versions).reduce((sum, count) => sum + count, 0)
  return { alive, versions, lastHeartbeatAt: newest[0]!.at as number | null }
}

async function shardFacts(
  env: Env,
  name: string,
  now: number,
  meter: Meter,
  limit: number,
): Promise<ShardFacts> {
  const selects: Record<BacklogName, Statement> = {
    outbox: PROMISED,
    cloudQueue: CLOUD_QUEUE,
    uploads: UPLOADS,
    expiredLeases: expiredLeases(now),
    overdueScans: overdueScans(now),
    deadLetters: UNREPLAYED,
  }
  const statements = [SENSOR_QUEUES, ...Object.values(selects).map(backlogOf)]
  const [reached, results] = await ask(name, () => placedDb(env, name, meter), statements, limit)
  if (!results) return { ...reached, backlogs: null, sensorQueues: [] }
  const [sensors, ...rest] = results
  const names = Object.keys(selects) as BacklogName[]
  const backlogs = Object.fromEntries(
    names.map((backlog, index) => [backlog, presentBacklog(rest[index]!.rows[0])]),
  ) as Record<BacklogName, Backlog>
  return { ...reached, backlogs, sensorQueues: sensors!.rows as unknown as ShardFacts['sensorQueues'] }
}

/** The answer of one database, or why there is none. */
async function ask(
  name: string,
  open: () => Database,
  statements: Statement[],
  limit: number,
): Promise<[Reached, StatementResult[] | null]> {
  const began = Date.now()
  const waiting = new AbortController()
  try {
    const late = scheduler.wait(limit, { signal: waiting.signal }).then(() => {
      throw new Error(`no answer within ${limit} ms`)
    })
    const results = await Promise.race([open().batch(statements), late])
    return [{ name, ms: Date.now() - began, error: null }, results]
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    return [{ name, ms: Date.now() - began, error: String(cause) }, null]
  } finally {
    waiting.abort()
  }
}
