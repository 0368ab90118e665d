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
