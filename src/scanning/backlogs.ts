import { type Statement, statement } from '../db/database.ts'
import { BEHIND_MARK } from './labelled-pools.ts'
import { isLiveSql } from './live-runners.ts'

const MOST_POOLS = 50 // sensors' pools that a look lists

/** Jobs that wait for a cloud runner, in the order of claims; behind them those that ask for labels. */
export const CLOUD_QUEUE: Statement = statement(
  `SELECT created_at AS at FROM jobs INDEXED BY jobs_claim
    WHERE state = 'queued' AND pool >= 'cloud' AND pool < 'cloud${BEHIND_MARK}' ORDER BY pool, priority, rank, created_at, id`,
)

/** Results that arrived and are not ingested yet. */
export const UPLOADS: Statement = statement(
  `SELECT uploaded_at AS at FROM jobs INDEXED BY jobs_uploaded WHERE state = 'uploaded' ORDER BY uploaded_at`,
)

/** Leases that ran out and were not taken back yet. */
export const expiredLeases = (now: number): Statement =>
  statement(
    `SELECT lease_until AS at FROM jobs INDEXED BY jobs_lease WHERE state = 'leased' AND lease_until <= ? ORDER BY lease_until`,
    now,
  )

/** Scans whose time is up and that did not end. One whose result arrived has its ingest's time. */
export const overdueScans = (now: number): Statement =>
  statement(
    `SELECT s.deadline_at AS at
       FROM (SELECT org, job_id, deadline_at FROM scans INDEXED BY scans_deadline WHERE deadline_at <= ?
              ORDER BY deadline_at LIMIT 1000) s
      WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = s.job_id AND j.org = s.org AND j.state = 'uploaded')`,
    now,
  )

/** Pools of sensors (ids of registries, with labels) with jobs waiting, and since when the next one does; the first 50. */
export const SENSOR_QUEUES: Statement = statement(
  `WITH RECURSIVE waiting(pool) AS (
     SELECT min(pool) FROM jobs INDEXED BY jobs_claim WHERE state = 'queued' AND pool >= 'cloud${BEHIND_MARK}'
     UNION ALL
     SELECT (SELECT min(j.pool) FROM jobs j INDEXED BY jobs_claim WHERE j.state = 'queued' AND j.pool > waiting.pool)
       FROM waiting WHERE waiting.pool IS NOT NULL)
   SELECT pool,
          (SELECT j.created_at FROM jobs j INDEXED BY jobs_claim WHERE j.state = 'queued' AND j.pool = waiting.pool
            ORDER BY j.priority, j.rank, j.created_at, j.id LIMIT 1) AS oldestAt
     FROM waiting WHERE pool IS NOT NULL LIMIT ${MOST_POOLS}`,
)

const MOST_RUNNERS = 200 // live ones whose versions a look reads

/** Cloud runners that live, and by version; the newest sign of life of any. */
export const cloudRunners = (now: number): Statement[] => [
  statement(
    `SELECT version, count(*) AS alive
       FROM (SELECT version FROM agents INDEXED BY agents_of_registry
              WHERE org IS NULL AND registry_id IS NULL AND ${isLiveSql(now).sql}
                AND disabled_at IS NULL AND removed_at IS NULL LIMIT ${MOST_RUNNERS})
      GROUP BY version`,
  ),
  statement(
    `SELECT max(last_heartbeat_at) AS at FROM agents INDEXED BY agents_of_registry WHERE org IS NULL AND registry_id IS NULL`,
  ),
]
