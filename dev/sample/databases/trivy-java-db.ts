import { DatabaseSync } from 'node:sqlite'

const JAVA_SCHEMA = 1

/** An empty Trivy Java index. Trivy refuses any image with a jar without one; jars with `pom.properties` need no rows in it. */
export function writeTrivyJavaIndex(path: string): void {
  const database = new DatabaseSync(path)
  try {
    database.exec(`
      create table artifacts(id integer primary key, group_id text, artifact_id text);
      create table indices(artifact_id integer, version text, sha1 blob, archive_type text, foreign key(artifact_id) references artifacts(id));
      create unique index artifacts_idx on artifacts(artifact_id, group_id);
      create index indices_artifact_idx on indices(artifact_id);
      create unique index indices_sha1_idx on indices(sha1);
      vacuum;`)
  } finally {
    database.close()
  }
}

/** `metadata.json` beside it; the next update is said to be three days after `builtAt` (ISO 8601). */
export function trivyJavaMetadata(builtAt: string): string {
  const nextUpdate = new Date(Date.parse(builtAt) + 3 * 24 * 60 * 60 * 1000)
    .toISOString()
    .replace('.000Z', 'Z')
  return `${JSON.stringify({ Version: JAVA_SCHEMA, NextUpdate: nextUpdate, UpdatedAt: builtAt, DownloadedAt: builtAt })}\n`
}
