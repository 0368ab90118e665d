-- Jobs of agents without leases, how many jobs an agent holds, and registries whose jobs go to labelled runners.

ALTER TABLE jobs ADD COLUMN unfenced INTEGER NOT NULL DEFAULT 0;  -- 1: claimed by an agent that knows no fences
ALTER TABLE jobs ADD COLUMN handed_at INTEGER;                    -- when it was handed out, repeats within seconds left out
ALTER TABLE jobs ADD COLUMN receiving_until INTEGER;              -- an upload of an unfenced job is being received, at most until then
CREATE INDEX jobs_held ON jobs(agent_id) WHERE state = 'leased';
ALTER TABLE registries ADD COLUMN runner_labels TEXT NOT NULL DEFAULT '[]';   -- JSON array, sorted
