-- Findings: a vulnerability belongs to a package version, not to a scan. Engine bits: trivy 1, grype 2, osv 4.

CREATE TABLE packages (
  id INTEGER PRIMARY KEY,
  org INTEGER NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  type TEXT NOT NULL,                           -- purl type
  context TEXT NOT NULL,                        -- canonical JSON [namespace, distro, source, sourceVersion, module, owner]
  holders INTEGER NOT NULL DEFAULT 0            -- live artifacts that hold it
);
CREATE UNIQUE INDEX packages_key ON packages(org, name, version, type, context);

-- A package in a live artifact. Two trees are the storage of the whole system: nothing is added here lightly.
CREATE TABLE artifact_packages (
  org INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  package INTEGER NOT NULL,
  registry INTEGER NOT NULL,                    -- registries.num
  since INTEGER NOT NULL,
  PRIMARY KEY (org, artifact, package)
) WITHOUT ROWID;
CREATE INDEX holders ON artifact_packages(org, package, registry, artifact, since);

-- Paths and layers of an artifact's packages: gzipped JSON in base64url, in chunks by package id.
CREATE TABLE artifact_locations (
  org INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  chunk INTEGER NOT NULL,                       -- the smallest package id in it
  digest TEXT NOT NULL,                         -- of the JSON: says what need not be written again
  data TEXT NOT NULL,
  PRIMARY KEY (org, artifact, chunk)
) WITHOUT ROWID;

-- A vulnerability on a package version: the organization's list has one row for each.
CREATE TABLE matches (
  id INTEGER PRIMARY KEY,                       -- random 52 bits: the public id
  org INTEGER NOT NULL,
  package INTEGER NOT NULL,
  vulnerability TEXT NOT NULL,
  name TEXT NOT NULL,                           -- immutable copies of the package's
  version TEXT NOT NULL,
  severity INTEGER NOT NULL,                    -- merged: 0 UNKNOWN … 4 CRITICAL
  cvss INTEGER,                                 -- merged, tenths
  score INTEGER NOT NULL AS (coalesce(cvss, -1)) VIRTUAL,        -- lists page over it: never NULL
  id_order INTEGER NOT NULL AS (id) VIRTUAL,    -- SQLite seeks to (score, id_order) but not to (score, id)
  cvss_vector TEXT,
  fixed_version TEXT,
  said TEXT NOT NULL,                           -- JSON {engine: Verdict} of src/risk/findings/merge.ts
  trivy_first INTEGER, grype_first INTEGER, osv_first INTEGER,   -- build that first confirmed it
  engines INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,            -- 0 OPEN
  seen_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX matches_key ON matches(org, package, vulnerability);
CREATE INDEX matches_severity ON matches(org, severity, score, id_order);
CREATE INDEX matches_cvss ON matches(org, score, id_order);
CREATE INDEX matches_vulnerability ON matches(org, vulnerability, id_order);
CREATE INDEX matches_seen ON matches(org, seen_at, id_order);
CREATE INDEX matches_severity_vulnerability ON matches(org, severity, vulnerability, id_order);
CREATE INDEX matches_severity_seen ON matches(org, severity, seen_at, id_order);
CREATE INDEX matches_status ON matches(org, status, severity, score, id_order) WHERE status <> 0;

-- An advisory's text in the organization. Nothing that changes daily.
CREATE TABLE vulnerabilities (
  org INTEGER NOT NULL,
  id TEXT NOT NULL,
  aliases TEXT NOT NULL,                        -- JSON array
  title TEXT,
  description TEXT,
  links TEXT NOT NULL,                          -- JSON array
  cwes TEXT NOT NULL,                           -- JSON array
  published_at INTEGER,
  modified_at INTEGER,
  digest TEXT NOT NULL,                         -- of the text
  engines INTEGER NOT NULL,                     -- engines (bits) whose scan brought the text
  PRIMARY KEY (org, id)
) WITHOUT ROWID;

-- Exclusions: engines (bits) that stay silent about a match in one artifact.
CREATE TABLE overrides (
  org INTEGER NOT NULL,
  match INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  silent INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (org, match, artifact)
) WITHOUT ROWID;
CREATE INDEX overrides_artifact ON overrides(org, artifact, match);

-- A finding that went away from an image although its package stayed, and when.
CREATE TABLE resolutions (
  org INTEGER NOT NULL,
  image_id TEXT NOT NULL,
  vulnerability TEXT NOT NULL,
  package INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  severity INTEGER NOT NULL,                    -- as it was last shown
  detected_at INTEGER NOT NULL,
  resolved_at INTEGER NOT NULL,
  PRIMARY KEY (org, image_id, vulnerability, package, resolved_at)
) WITHOUT ROWID;
CREATE INDEX resolutions_time ON resolutions(org, resolved_at);

-- Packages whose matches changed in one ingest: their other holders' counters are computed again in slices.
CREATE TABLE recounts (
  org INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  packages TEXT,                                -- JSON array of packages.id; NULL: too many to name
  PRIMARY KEY (org, seq)
) WITHOUT ROWID;

-- The serial number of what changes an organization's findings, the newest database ingested for each engine, and
-- the number of its matches by severity.
CREATE TABLE ingest_state (
  org INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  trivy_newest INTEGER, grype_newest INTEGER, osv_newest INTEGER,
  critical INTEGER NOT NULL DEFAULT 0, high INTEGER NOT NULL DEFAULT 0, medium INTEGER NOT NULL DEFAULT 0,
  low INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0,
  unfinished TEXT                               -- JSON array: changes written in part; NULL: none, every match shows
) WITHOUT ROWID;
