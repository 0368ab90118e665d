-- A package's holders in the order of lists. Since when is read by primary key, for the few that a page shows.
DROP INDEX holders;
CREATE INDEX holders ON artifact_packages(org, package, registry, artifact);

-- Rows, and not entries of an index: what is larger than a quarter of a page would take an overflow page of its own.
CREATE TABLE artifact_places (
  org INTEGER NOT NULL,
  artifact INTEGER NOT NULL,
  chunk INTEGER NOT NULL,                       -- the smallest package id in it
  digest TEXT NOT NULL,                         -- of the JSON: says what need not be written again
  data TEXT NOT NULL,
  PRIMARY KEY (org, artifact, chunk)
);
INSERT INTO artifact_places SELECT org, artifact, chunk, digest, data FROM artifact_locations;
DROP TABLE artifact_locations;
ALTER TABLE artifact_places RENAME TO artifact_locations;

-- What advisories say, several in a pack: gzipped JSON in base64url. A pack goes with the last advisory that lies in it.
CREATE TABLE advisory_texts (
  id INTEGER PRIMARY KEY,                       -- random 52 bits
  org INTEGER NOT NULL,
  members INTEGER NOT NULL,                     -- advisories whose text lies in it now
  data TEXT NOT NULL                            -- of src/risk/findings/advisory-texts.ts
);
ALTER TABLE vulnerabilities ADD COLUMN texts INTEGER;   -- advisory_texts.id; NULL: the text is in the row
