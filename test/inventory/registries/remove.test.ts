import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { blobKey } from '../../../src/db/blobs.ts'
import { statement } from '../../../src/db/database.ts'
import type { Env } from '../../../src/env.ts'
import { type Remains, removeRegistry, resumeDeletions } from '../../../src/inventory/registries/index.ts'
import { ingestResult, retireArtifacts } from '../../../src/risk/findings/index.ts'
import { deleteScansOfRegistry, endScansOfRegistry } from '../../../src/scanning/scans/remove-registry.ts'
import { aFakeRegistry } from '../../fake-registry.ts'
import { aResult, BUILT } from '../../risk/results.ts'
import { anOrganization, type TestOrganization } from '../../world.ts'
import { anArtifactOf, finishSync, jobContext, promisesOf, silentContext } from './system.ts'

const REMAINS: Remains = {
  endScans: endScansOfRegistry,
  deleteScans: deleteScansOfRegistry,
  retire: retireArtifacts,
}
const TABLES = [
  'registries',
  'images',
  'tags',
  'tag_artifacts',
  'artifacts',
  'artifact_packages',
  'matches',
  'scans',
]

async function rows(ours: TestOrganization): Promise<Record<string, number>> {
  const counted = await ours.db.batch(
    TABLES.map((table) =>
      statement(`SELECT count(*) AS n FROM ${table} WHERE org = ?`, ours.organization.num),
    ),
  )
  return Object.fromEntries(TABLES.map((table, index) => [table, counted[index]!.rows[0]!.n as number]))
}

/** A synced registry with one scanned tag, an ended scan with a blob, and a running one. */
async function aUsedRegistry(ours: TestOrganization, name: string, seed: number) {
  const fake = await aFakeRegistry('open', { 'a/app': { v1: `${name}-1` }, 'a/other': { v1: `${name}-2` } })
  const body = { name, provider: 'CUSTOM', url: fake.url, insecure: true }
  const { id } = (await ours.post('/api/registries', body)).body.data
  await finishSync(ours, id)
  const org = ours.organization.num
  const tag = await ours.db.first<{ digest: string }>(
    statement(
      `SELECT t.digest FROM tags t JOIN images i ON i.id = t.image_id WHERE i.registry_id = ? AND i.repository = 'a/app'`,
      id,
    ),
  )
  const place = {
    registryId: id,
    host: fake.host,
    repository: 'a/app',
    tag: 'v1',
    versionDigest: tag!.digest,
  }
  const artifact = await anArtifactOf(ours, place)
  const shape = { packages: 30, findings: 20, seed }
  await ingestResult(await jobContext(ours), {
    ...{ artifact, scanId: 'scn_x', scannedAt: BUILT, result: aResult(shape), finish: [] },
  })
  const sha256 = String(seed).repeat(64).slice(0, 64)
  await (env as Env).ARTIFACTS.put(blobKey(org, sha256), 'blob')
  const scan = (scanId: string, status: string, deadline: number | null) =>
    statement(
      `INSERT INTO scans (id, org, registry_id, image, repository, trigger, priority, scanners, status, requested_by, created_at, deadline_at)
       VALUES (?, ?, ?, 'x', 'a/app', 'manual', 0, '[]', ?, 'test', 1, ?)`,
      ...[scanId, org, id, status, deadline],
    )
  await ours.db.batch([
    scan(`scn_done_${seed}_${org}`, 'COMPLETE', null),
    scan(`scn_running_${seed}_${org}`, 'IN_PROGRESS', Date.now() + 3_600_000),
    statement(
      `INSERT INTO scan_blobs (org, scan_id, sha256, size, created_at) VALUES (?, ?, ?, 4, 1)`,
      ...[org, `scn_done_${seed}_${org}`, sha256],
    ),
  ])
  return { id, blob: blobKey(org, sha256) }
}

async function finishRemoval(ours: TestOrganization, id: string): Promise<void> {
  for (let slice = 0; slice < 100; slice++) {
    const row = await ours.db.first(statement('SELECT id FROM registries WHERE id = ?', id))
    if (!row) return
    await removeRegistry(await jobContext(ours), id, REMAINS)
  }
  throw new Error('the removal does not end')
}

describe('A deleted registry', () => {
  it('leaves nothing behind, and nothing of another registry goes', async () => {
    const ours = await anOrganization()
    const kept = await aUsedRegistry(ours, 'kept', 1)
    const before = await rows(ours)
    const gone = await aUsedRegistry(ours, 'gone', 2)
    expect((await rows(ours)).matches).toBeGreaterThan(before.matches!)
    await ours.delete(`/api/registries/${gone.id}`)
    await finishRemoval(ours, gone.id)
    expect(await rows(ours)).toEqual(before)
    const marked = await ours.db.all<{ object_key: string }>(
      statement('SELECT object_key FROM blob_deletions WHERE org = ?', ours.organization.num),
    )
    expect(marked.map(({ object_key }) => object_key)).toEqual([gone.blob])
    expect(await (env as Env).ARTIFACTS.head(kept.blob)).not.toBeNull()
  })

  it('ends its running scans first, with the reason', async () => {
    const ours = await anOrganization()
    const { id } = await aUsedRegistry(ours, 'gone', 3)
    await ours.delete(`/api/registries/${id}`)
    const ended: unknown[] = []
    const watching: Remains = {
      ...REMAINS,
      endScans: async (...call) => {
        const count = await REMAINS.endScans(...call)
        ended.push(
          ...(await ours.db.all(
            statement(`SELECT status, reason FROM scans WHERE registry_id = ? AND status <> 'COMPLETE'`, id),
          )),
        )
        return count
      },
    }
    await removeRegistry(await jobContext(ours), id, watching)
    expect(ended[0]).toMatchObject({ status: 'FAILED', reason: expect.stringContaining('registry_removed') })
    await finishRemoval(ours, id)
  })

  it('goes on where it stopped when its message was lost', async () => {
    const ours = await anOrganization()
    const { id } = await aUsedRegistry(ours, 'gone', 4)
    const later = Date.now() + 2 * 3_600_000
    await ours.db.run(
      statement(
        `UPDATE registries SET status = 'DELETING', sync_state = 'running', sync_started_at = ? WHERE id = ?`,
        ...[Date.now(), id],
      ),
    )
    await resumeDeletions(await silentContext(ours, later), ours.db)
    expect(await promisesOf(ours, 'registry.delete')).toHaveLength(1)
    await resumeDeletions(await silentContext(ours, later), ours.db)
    expect(await promisesOf(ours, 'registry.delete')).toHaveLength(1)
    await finishRemoval(ours, id)
  })

  it('does nothing for a registry that is not being deleted', async () => {
    const ours = await anOrganization()
    const { id } = await aUsedRegistry(ours, 'kept', 5)
    const before = await rows(ours)
    await removeRegistry(await jobContext(ours), id, REMAINS)
    expect(await rows(ours)).toEqual(before)
  })
})
