import { env } from 'cloudflare:workers'
import type { Context } from '../../src/context.ts'
import { type Database, statement } from '../../src/db/database.ts'
import { directoryDb, newMeter, tenantDb } from '../../src/db/shards.ts'
import type { Env } from '../../src/env.ts'

/** A job's context for an organization of this number, with a session of its own in shard 00. What it sends stays in the outbox. */
export function aContext(org: number, now = Date.UTC(2026, 10, 21), db?: Database): Context {
  const queue = { sendBatch: async () => {} } as unknown as Env['WORK']
  const bindings: Env = { ...(env as unknown as Env), WORK: queue }
  return {
    env: bindings,
    requestId: 'req_test',
    now,
    ip: null,
    directory: directoryDb(bindings, newMeter()),
    defer: () => {},
    organization: { num: org, id: `org_${org}`, slug: `org-${org}`, shard: '00' },
    actor: { kind: 'system', job: 'test' },
    rememberReply: () => [],
    db: db ?? tenantDb(bindings, '00', newMeter())!,
  }
}

/** An artifact in an image of its own, in a registry of this number; named by a tag; the image shows it as its latest. Returns artifacts.id. */
export async function anArtifact(
  { db, organization: { num: org } }: Context,
  name: string,
  registry = 1,
): Promise<number> {
  const image = `img_${org}_${name}`
  const digest = `sha256:${name.padStart(64, '0')}`
  await db.batch([
    statement(
      `INSERT INTO artifacts (org, image_id, image_name, registry_num, digest, platform, seen_at)
       VALUES (?, ?, ?, ?, ?, 'linux/amd64', 0)`,
      org,
      image,
      `registry.example.org/${name}`,
      registry,
      digest,
    ),
    statement(
      `INSERT INTO images (id, org, registry_id, repository, name, latest_artifact, created_at)
       VALUES (?, ?, ?, ?, ?, last_insert_rowid(), 0)`,
      image,
      org,
      `reg_${registry}`,
      name,
      `registry.example.org/${name}`,
    ),
  ])
  const row = await db.first<{ id: number }>(
    statement('SELECT id FROM artifacts WHERE org = ? AND image_id = ? AND digest = ?', org, image, digest),
  )
  await db.run(
    statement('INSERT INTO tag_artifacts (org, tag_id, artifact) VALUES (?, ?, ?)', org, 'tag', row!.id),
  )
  return row!.id
}

/** Takes away the tag that `anArtifact` gave. */
export const untag = ({ db, organization: { num: org } }: Context, artifact: number): Promise<number> =>
  db.run(statement('DELETE FROM tag_artifacts WHERE org = ? AND artifact = ?', org, artifact))
