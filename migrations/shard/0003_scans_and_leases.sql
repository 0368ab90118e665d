CREATE TABLE scans (
  id TEXT PRIMARY KEY,
  org INTEGER NOT NULL,
  registry_id TEXT NOT NULL,
  image TEXT NOT NULL,                          -- the canonical reference that was asked for
  image_id TEXT,
  repository TEXT NOT NULL,
  tag TEXT,
  tag_id TEXT,
  index_digest TEXT,
  digest TEXT,                                  -- of the manifest; NULL until resolved
  artifact INTEGER,
  platform TEXT,                                -- asked for; then what was scanned
  trigger TEXT NOT NULL CHECK (trigger IN ('manual', 'schedule', 'push', 'sync', 'upload')),
  priority INTEGER NOT NULL,                    -- 0 what a person asked for, 2 what a schedule asked for
  scanners TEXT NOT NULL,                       -- JSON array
  status TEXT NOT NULL CHECK (status IN ('PENDING', 'IN_PROGRESS', 'COMPLETE', 'FAILED', 'CANCELLED')),
  partial INTEGER NOT NULL DEFAULT 0,
  reason TEXT,                                  -- JSON {code, message}
  job_id TEXT,                                  -- jobs.id; NULL before dispatch and for a scan that follows another
  leader_id TEXT,                               -- the scan of the same digest whose result this one shares
  engines TEXT,                                 -- JSON: as presented
  blobs TEXT,                                   -- JSON {"raw/trivy": {sha256, size, mediaType}, "sbom/cyclonedx": …}
  result_key TEXT,                              -- the accepted envelope in R2; NULL once it expired
  critical INTEGER, high INTEGER, medium INTEGER, low INTEGER, unknown INTEGER,
  compliance TEXT,                              -- grade
  risk INTEGER,
  duration_ms INTEGER,
  logs TEXT,                                    -- JSON array of strings
  requested_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  scanned_at INTEGER,                           -- when it ended
  deadline_at INTEGER,                          -- NULL once it ended
  -- Lists page over these: never NULL. What has not ended comes after what has, by its creation.
  scanned_order INTEGER NOT NULL AS (coalesce(scanned_at, 1000000000000000 + created_at)) VIRTUAL,
  compliance_order TEXT NOT NULL AS (coalesce(compliance, '')) VIRTUAL,
  risk_order INTEGER NOT NULL AS (coalesce(risk, -1)) VIRTUAL
);
CREATE INDEX scans_scanned ON scans(org, scanned_order, id);
CREATE INDEX scans_status ON scans(org, status, scanned_order, id);
CREATE INDEX scans_compliance ON scans(org, compliance_order, id);
CREATE INDEX scans_risk ON scans(org, risk_order, id);
CREATE INDEX scans_artifact ON scans(org, artifact, created_at) WHERE artifact IS NOT NULL;
CREATE INDEX scans_followers ON scans(org, leader_id) WHERE leader_id IS NOT NULL;
CREATE INDEX scans_deadline ON scans(deadline_at) WHERE deadline_at IS NOT NULL;
CREATE INDEX scans_running ON scans(org, registry_id, image) WHERE deadline_at IS NOT NULL;

-- How many scans an organization has: a list's total without counting them.
CREATE TABLE scan_totals (
  org INTEGER PRIMARY KEY,
  scans INTEGER NOT NULL
);
CREATE TRIGGER scans_added AFTER INSERT ON scans BEGIN
  INSERT INTO scan_totals (org, scans) VALUES (new.org, 1) ON CONFLICT (org) DO UPDATE SET scans = scans + 1;
END;
CREATE TRIGGER scans_removed AFTER DELETE ON scans BEGIN
  UPDATE scan_totals SET scans = scans - 1 WHERE org = old.org;
END;

-- The lease's truth. One job a scan that does not follow another; gone some days after its scan ended.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,                          -- the id of the scan it was made for; runners see it with shard and org
  org INTEGER NOT NULL,
  scan_id TEXT NOT NULL,                        -- the scan it is for now: a cancelled leader hands it to a follower
  registry_id TEXT NOT NULL,
  pool TEXT NOT NULL,                           -- "cloud", or the registry's id for sensors
  state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'uploaded', 'done')),
  priority INTEGER NOT NULL,
  rank INTEGER NOT NULL,                        -- fair-queue position of the organization in its pool and priority
  digest TEXT,
  wanted INTEGER NOT NULL,                      -- engines asked for (bits in the order of ENGINES)
  needs INTEGER NOT NULL,                       -- engines that a runner must offer to take it early (bits)
  fence INTEGER NOT NULL DEFAULT 0,
  leases INTEGER NOT NULL DEFAULT 0,
  agent_id TEXT,
  credential_id TEXT,                           -- whose key claimed it: every later call must come with the same
  claim TEXT,                                   -- the poll that claimed it
  lease_until INTEGER,
  cancel INTEGER NOT NULL DEFAULT 0,
  phase TEXT NOT NULL,
  progress INTEGER NOT NULL,
  engines TEXT,                                 -- JSON: progress by engine
  result_key TEXT,                              -- envelope in R2
  uploaded_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_claim ON jobs(pool, priority, rank, created_at, id) WHERE state = 'queued';
CREATE INDEX jobs_rank ON jobs(pool, org, priority, rank) WHERE state = 'queued';
CREATE INDEX jobs_in_flight ON jobs(org, registry_id, digest) WHERE state IN ('queued', 'leased', 'uploaded');
CREATE INDEX jobs_lease ON jobs(lease_until) WHERE state = 'leased';
CREATE INDEX jobs_uploaded ON jobs(uploaded_at) WHERE state = 'uploaded';
CREATE INDEX jobs_done ON jobs(updated_at) WHERE state = 'done';

-- Which scans name a blob in R2, content-addressed within the organization. Written before the blob is stored.
CREATE TABLE scan_blobs (
  org INTEGER NOT NULL,
  scan_id TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, scan_id, sha256)
) WITHOUT ROWID;
CREATE INDEX scan_blobs_content ON scan_blobs(org, sha256);

-- Objects that nothing names any more, until R2 has deleted them. While its row is here no blob is stored under the key.
CREATE TABLE blob_deletions (
  org INTEGER NOT NULL,
  object_key TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, object_key)
) WITHOUT ROWID;
CREATE INDEX blob_deletions_age ON blob_deletions(created_at);

-- Messages that must leave: sent at once, and again by the cron until they are acknowledged.
CREATE TABLE outbox (
  id TEXT PRIMARY KEY,
  org INTEGER NOT NULL,
  message TEXT NOT NULL,                        -- JSON: kind and ids only
  created_at INTEGER NOT NULL,
  next_attempt_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox(next_attempt_at);

CREATE TABLE audit_log (
  id TEXT PRIMARY KEY,
  org INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,                         -- "type:id"
  ip TEXT,
  details TEXT,                                 -- JSON: the presented view, never a raw row
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_log_time ON audit_log(org, created_at);

CREATE TABLE idempotency (
  org INTEGER NOT NULL,
  route TEXT NOT NULL,
  key TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  status INTEGER NOT NULL,
  resource_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, route, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency(created_at);
