-- Who may enter, and where their data lives.

CREATE TABLE organizations (
  num INTEGER PRIMARY KEY AUTOINCREMENT,        -- the tenant key of every shard table
  id TEXT NOT NULL UNIQUE,                      -- org_…, the public id
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  shard TEXT NOT NULL,                          -- placement: binding suffix ("00"), bucket and jurisdiction
  bucket TEXT NOT NULL DEFAULT 'ARTIFACTS',
  jurisdiction TEXT,
  created_at INTEGER NOT NULL
);

-- Organization keys (KEK), wrapped by the root key named in the ciphertext. The highest active version encrypts.
CREATE TABLE organization_keys (
  org INTEGER NOT NULL REFERENCES organizations(num),
  version INTEGER NOT NULL,
  wrapped TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'decrypt_only', 'destroyed')),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, version)
) WITHOUT ROWID;

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE memberships (
  org INTEGER NOT NULL REFERENCES organizations(num),
  user_id TEXT NOT NULL REFERENCES users(id),
  role TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, user_id)
) WITHOUT ROWID;

-- Every machine credential, by the SHA-256 of the whole key. Cloud runners belong to no organization.
CREATE TABLE credentials (
  hash TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('api_key', 'sensor_key', 'runner_key')),
  org INTEGER REFERENCES organizations(num),
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  role TEXT NOT NULL,
  registry_id TEXT,                             -- sensor keys are bound to one registry
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER,                         -- at most one write an hour
  CHECK ((kind = 'runner_key') = (org IS NULL))
) WITHOUT ROWID;
CREATE INDEX credentials_of_organization ON credentials(org, created_at, id);
CREATE INDEX credentials_of_registry ON credentials(org, registry_id) WHERE registry_id IS NOT NULL;

-- Runner processes. One for each credential and public key (or name and hostname where there is no key).
CREATE TABLE agents (
  id TEXT PRIMARY KEY,
  credential_id TEXT NOT NULL,
  identity TEXT NOT NULL,                       -- thumbprint of the public key, or name and hostname
  org INTEGER,                                  -- NULL for cloud runners
  registry_id TEXT,                             -- NULL for cloud runners
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  hostname TEXT NOT NULL,
  platform TEXT NOT NULL,
  public_key TEXT,                              -- JWK, pinned at registration
  protocol_version INTEGER NOT NULL,
  capabilities TEXT NOT NULL,                   -- JSON array
  scanner_versions TEXT NOT NULL,               -- JSON object
  registered_at INTEGER NOT NULL,
  last_heartbeat_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX agents_identity ON agents(credential_id, identity);
CREATE INDEX agents_of_registry ON agents(org, registry_id, last_heartbeat_at);

CREATE TABLE audit_log (
  id TEXT PRIMARY KEY,
  org INTEGER,                                  -- NULL for what operators do outside an organization
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,                         -- "type:id"
  ip TEXT,
  details TEXT,                                 -- JSON: the presented view, never a raw row
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_log_time ON audit_log(org, created_at);

-- Replay protection of POSTs that create; 24 hours.
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
