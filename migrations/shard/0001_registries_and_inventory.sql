-- What an organization owns. `org` is organizations.num in DIRECTORY and stands in every WHERE.

CREATE TABLE registries (
  id TEXT PRIMARY KEY,
  num INTEGER NOT NULL UNIQUE,                  -- small copy for the link index
  org INTEGER NOT NULL,
  name TEXT NOT NULL,
  provider TEXT NOT NULL,
  url TEXT NOT NULL,
  host TEXT NOT NULL,                           -- host[:port] that image references name
  path_prefix TEXT NOT NULL,                    -- "" or "group/project"
  insecure INTEGER NOT NULL,
  credentials TEXT,                             -- ciphertext under the registry's own DEK
  dek TEXT,                                     -- the DEK, wrapped by the organization's KEK
  kek_version INTEGER,
  scan_method TEXT NOT NULL CHECK (scan_method IN ('cloud', 'sensor')),
  scanners TEXT NOT NULL,                       -- JSON array
  schedule TEXT NOT NULL CHECK (schedule IN ('manual', 'on_push', 'daily', 'weekly')),
  include_tags TEXT,
  exclude_tags TEXT,
  status TEXT NOT NULL CHECK (status IN ('UNTESTED', 'ACTIVE', 'ERROR', 'DELETING')),
  status_reason TEXT,                           -- JSON {code, message}
  image_count INTEGER NOT NULL DEFAULT 0,       -- kept by the triggers on images
  next_run_at INTEGER,
  sync_state TEXT NOT NULL DEFAULT 'idle' CHECK (sync_state IN ('idle', 'queued', 'running')),
  sync_cursor TEXT,                             -- JSON: where a bounded slice goes on
  sync_started_at INTEGER,
  synced_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
);
CREATE INDEX registries_list ON registries(org, created_at, id);
CREATE INDEX registries_host ON registries(org, host);
CREATE INDEX registries_due ON registries(next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX registries_busy ON registries(sync_started_at) WHERE sync_state <> 'idle';

CREATE TABLE images (
  id TEXT PRIMARY KEY,
  org INTEGER NOT NULL,
  registry_id TEXT NOT NULL,
  repository TEXT NOT NULL,
  name TEXT NOT NULL,                           -- host/repository
  tag_count INTEGER NOT NULL DEFAULT 0,
  latest_tag TEXT,
  latest_digest TEXT,
  latest_artifact INTEGER,                      -- artifacts.id whose counts these are
  critical INTEGER, high INTEGER, medium INTEGER, low INTEGER, unknown INTEGER,   -- NULL: never scanned
  grade TEXT,
  risk INTEGER,
  risk_order INTEGER NOT NULL AS (coalesce(risk, -1)) VIRTUAL,                    -- lists page over it: never NULL
  last_scanned_at INTEGER,
  created_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX images_repository ON images(org, registry_id, repository);
CREATE INDEX images_name ON images(org, name, id);
CREATE INDEX images_created ON images(org, created_at, id);
CREATE INDEX images_risk ON images(org, risk_order, id);

CREATE TRIGGER images_added AFTER INSERT ON images BEGIN
  UPDATE registries SET image_count = image_count + 1 WHERE id = new.registry_id AND org = new.org;
END;
CREATE TRIGGER images_removed AFTER DELETE ON images BEGIN
  UPDATE registries SET image_count = image_count - 1 WHERE id = old.registry_id AND org = old.org;
END;

CREATE TABLE tags (
  id TEXT PRIMARY KEY,
  org INTEGER NOT NULL,
  image_id TEXT NOT NULL,
  name TEXT NOT NULL,
  digest TEXT,                                  -- what the tag points at, often an index; NULL: not resolved yet
  artifact INTEGER,                             -- artifacts.id shown for this tag; NULL: never scanned
  created_at INTEGER NOT NULL,
  moved_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX tags_name ON tags(org, image_id, name);
CREATE INDEX tags_moved ON tags(org, image_id, moved_at, id);
CREATE INDEX tags_artifact ON tags(org, artifact) WHERE artifact IS NOT NULL;

-- Artifacts that a tag names: one a platform.
CREATE TABLE tag_artifacts (
  org INTEGER NOT NULL,
  tag_id TEXT NOT NULL,
  artifact INTEGER NOT NULL,
  PRIMARY KEY (org, tag_id, artifact)
) WITHOUT ROWID;
CREATE INDEX tag_artifacts_holder ON tag_artifacts(org, artifact);

-- A manifest digest in an image: what is scanned. Counters carry no index.
CREATE TABLE artifacts (
  id INTEGER PRIMARY KEY,
  org INTEGER NOT NULL,
  image_id TEXT NOT NULL,
  image_name TEXT NOT NULL,                     -- immutable copies: one lookup a finding instead of two
  registry_num INTEGER NOT NULL,
  digest TEXT NOT NULL,
  platform TEXT NOT NULL,
  os TEXT,                                      -- JSON {family, name, endOfLife}
  size_bytes INTEGER,
  layers TEXT,                                  -- JSON, as the result envelope has them
  live INTEGER NOT NULL DEFAULT 1,              -- 0: retired, no links
  pinned_until INTEGER,                         -- scanned by digest: live until then without a tag
  trivy_build INTEGER, grype_build INTEGER, osv_build INTEGER,   -- database of the last accepted output
  trivy_at INTEGER, grype_at INTEGER, osv_at INTEGER,            -- and that scan's time
  ran INTEGER NOT NULL DEFAULT 0,               -- engines that ever gave an accepted result (bits)
  packages INTEGER NOT NULL DEFAULT 0,
  critical INTEGER, high INTEGER, medium INTEGER, low INTEGER, unknown INTEGER,
  cvss_sum INTEGER, cvss_count INTEGER,         -- tenths; for the risk score
  grade TEXT,
  risk INTEGER,
  seen_at INTEGER NOT NULL,
  scanned_at INTEGER,
  last_scan_id TEXT
);
CREATE UNIQUE INDEX artifacts_digest ON artifacts(org, image_id, digest);
-- Live artifacts on which not exactly trivy and grype ran: few, and all that counting without a join has to know.
CREATE INDEX artifacts_unusual ON artifacts(org, ran) WHERE live = 1 AND ran <> 3;
CREATE INDEX artifacts_live ON artifacts(org, id) WHERE live = 1;
CREATE INDEX artifacts_pinned ON artifacts(pinned_until) WHERE pinned_until IS NOT NULL;
