-- The last run of each schedule, for the status of the service: one row a schedule, written over.
CREATE TABLE cron_runs (
  name TEXT PRIMARY KEY,                        -- "every_minute"
  ran_at INTEGER NOT NULL,                      -- the time that it was scheduled for
  ms INTEGER NOT NULL,                          -- how long it took
  failures INTEGER NOT NULL,
  failed TEXT NOT NULL                          -- JSON array: the first sweeps that failed, "shard/sweep: error"
) WITHOUT ROWID;
