-- Pieces of the last batch of a large ingest, written before it: JSON that its statements read here, because the
-- batch is too large to be sent at once. They go with that batch.

CREATE TABLE ingest_pages (
  org INTEGER NOT NULL,
  scan_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,                     -- random: two deliveries of one message never share a page
  page INTEGER NOT NULL,
  written_at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (org, scan_id, attempt, page)
) WITHOUT ROWID;
CREATE INDEX ingest_pages_age ON ingest_pages(written_at);
