-- What a runner registers about how much and what it takes, and what people decided about it.

ALTER TABLE agents ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';        -- JSON array
ALTER TABLE agents ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 1;   -- jobs at one time
ALTER TABLE agents ADD COLUMN disabled_at INTEGER;                      -- gets no jobs since then
ALTER TABLE agents ADD COLUMN removed_at INTEGER;                       -- out of the lists until it calls again
CREATE INDEX agents_name ON agents(org, name, id) WHERE removed_at IS NULL;
CREATE INDEX agents_registered ON agents(org, registered_at, id) WHERE removed_at IS NULL;
